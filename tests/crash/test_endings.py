"""Ends without a say: however a process goes, what it held comes back and what it had put stays."""

import faulthandler
import os
import signal
import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import pytest

from interproc.context import SharedMemoryContext
from interproc.process import BaseProcess
from tests.contexts import PATIENCE_SECONDS, Children

pytestmark = pytest.mark.filterwarnings("ignore::interproc.errors.AbandonedWarning")

PERMITS = 2


@dataclass
class Belongings:
    """What the process holds when it ends."""

    lock: Any
    rlock: Any
    condition: Any
    permits: Any
    queue: Any

    @classmethod
    def of(cls, context: SharedMemoryContext) -> "Belongings":
        """One of each."""
        permits = context.BoundedSemaphore(PERMITS)
        return cls(context.Lock(), context.RLock(), context.Condition(), permits, context.JoinableQueue())

    def take(self) -> None:
        """Everything, and leaves a message."""
        for each in (self.lock, self.rlock, self.condition, self.permits):
            assert each.acquire(timeout=PATIENCE_SECONDS)
        self.queue.put("kept")

    def check(self) -> None:
        """Everything can be had, and says what happened."""
        for each in (self.lock, self.rlock, self.condition):
            assert each.acquire(timeout=PATIENCE_SECONDS)
        assert self.lock.abandoned
        assert self.rlock.abandoned
        assert all(self.permits.acquire(timeout=PATIENCE_SECONDS) for _ in range(PERMITS))
        assert self.queue.get(timeout=PATIENCE_SECONDS) == "kept"
        self.queue.task_done()
        self.queue.join()
        self.condition.notify_all()


def kill_itself(number: int) -> None:
    faulthandler.disable()  # which pytest enables: no traceback of a death that is wanted
    os.kill(os.getpid(), number)


def become_another_program() -> None:
    """One that runs until it is killed."""
    os.execv(sys.executable, [sys.executable, "-c", "import signal; signal.pause()"])


def hold_and_end(belongings: Belongings, connection: Any, end: Callable[..., None], *arguments: Any) -> None:
    belongings.take()
    connection.send("held")
    connection.recv()
    end(*arguments)


def start_holder(
    context: SharedMemoryContext, children: Children, held: Belongings, end: Callable[..., None], *arguments: Any
) -> tuple[BaseProcess, Any]:
    """A process that holds everything and is on its way to its end, and our end of its pipe."""
    ours, theirs = context.Pipe()
    holder = children.start(hold_and_end, held, theirs, end, *arguments)
    theirs.close()
    assert ours.recv(timeout=PATIENCE_SECONDS) == "held"
    assert not held.lock.acquire(timeout=0.01)
    ours.send("end")
    return holder, ours


@pytest.mark.parametrize(
    ("end", "argument"),
    [
        (kill_itself, signal.SIGKILL),
        (kill_itself, signal.SIGSEGV),
        (kill_itself, signal.SIGABRT),
        (kill_itself, signal.SIGTERM),
        (os._exit, 0),
    ],
)
def test_every_end_without_a_say_is_a_death(
    context: SharedMemoryContext, children: Children, end: Callable[..., None], argument: int
) -> None:
    held = Belongings.of(context)
    holder, connection = start_holder(context, children, held, end, argument)
    held.check()
    with pytest.raises(EOFError):
        connection.recv(timeout=PATIENCE_SECONDS)
    holder.join(PATIENCE_SECONDS)


def test_program_that_replaces_a_holder_holds_nothing(context: SharedMemoryContext, children: Children) -> None:
    held = Belongings.of(context)
    holder, connection = start_holder(context, children, held, become_another_program)
    held.check()
    with pytest.raises(EOFError):
        connection.recv(timeout=PATIENCE_SECONDS)
    assert holder.is_alive()


def test_holder_that_is_stopped_keeps_what_it_has_until_it_is_killed(
    context: SharedMemoryContext, children: Children
) -> None:
    held = Belongings.of(context)
    holder, connection = start_holder(context, children, held, kill_itself, signal.SIGSTOP)
    assert held.queue.get(timeout=PATIENCE_SECONDS) == "kept"
    held.queue.put("kept")
    held.queue.task_done()
    assert not held.lock.acquire(timeout=0.1)
    assert held.permits.acquire(timeout=PATIENCE_SECONDS)
    assert not held.permits.acquire(timeout=0.1)
    held.permits.release()
    assert not connection.poll(0.1)
    holder.kill()
    held.check()
