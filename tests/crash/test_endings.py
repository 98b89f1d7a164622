"""Ends without a say: however a process goes, what it held comes back and what it had put stays."""

import faulthandler
import os
import signal
import sys
from collections.abc import Callable
from typing import Any

import pytest

from interproc.context import SharedMemoryContext
from interproc.process import BaseProcess
from tests.contexts import PATIENCE_SECONDS, Children

pytestmark = pytest.mark.filterwarnings("ignore::interproc.errors.AbandonedWarning")


def kill_itself(number: int) -> None:
    faulthandler.disable()  # which pytest enables: no traceback of a death that is wanted
    os.kill(os.getpid(), number)


def become_another_program() -> None:
    """One that runs until it is killed."""
    os.execv(sys.executable, [sys.executable, "-c", "import signal; signal.pause()"])


def hold_and_end(lock: Any, queue: Any, connection: Any, end: Callable[..., None], *arguments: Any) -> None:
    lock.acquire()
    queue.put("kept")
    connection.send("held")
    connection.recv()
    end(*arguments)


def start_holder(
    context: SharedMemoryContext, children: Children, lock: Any, queue: Any, end: Callable[..., None], *arguments: Any
) -> BaseProcess:
    """A process that has the lock, has put a message, and is on its way to its end."""
    ours, theirs = context.Pipe()
    holder = children.start(hold_and_end, lock, queue, theirs, end, *arguments)
    assert ours.recv(timeout=PATIENCE_SECONDS) == "held"
    assert not lock.acquire(timeout=0.01)
    ours.send("end")
    return holder


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
    lock, queue = context.Lock(), context.Queue()
    start_holder(context, children, lock, queue, end, argument).join(PATIENCE_SECONDS)
    assert lock.acquire(timeout=PATIENCE_SECONDS)
    assert lock.abandoned
    assert queue.get(timeout=PATIENCE_SECONDS) == "kept"


def test_program_that_replaces_a_holder_holds_on_until_it_ends(
    context: SharedMemoryContext, children: Children
) -> None:
    lock, queue = context.Lock(), context.Queue()
    holder = start_holder(context, children, lock, queue, become_another_program)
    assert queue.get(timeout=PATIENCE_SECONDS) == "kept"
    assert not lock.acquire(timeout=0.1)
    holder.kill()
    assert lock.acquire(timeout=PATIENCE_SECONDS)
    assert lock.abandoned
