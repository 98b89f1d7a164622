"""Ctrl-C ends any wait at once and loses nothing."""

import os
import signal
from collections.abc import Callable
from typing import Any

import pytest

from interproc.context import SharedMemoryContext
from tests.conformance import bodies
from tests.contexts import PATIENCE_SECONDS, Children
from tests.waiting_for import until


def _interrupt(children: Children, context: SharedMemoryContext, call: str, thing: Any, release: Any) -> Any:
    ours, theirs = context.Pipe()
    child = children.start(bodies.block_until_interrupted, call, thing, theirs)
    assert child.pid is not None
    assert ours.recv(timeout=PATIENCE_SECONDS) == "blocks now"
    until(lambda: _sleeps(child.pid))
    os.kill(child.pid, signal.SIGINT)
    assert ours.recv(timeout=PATIENCE_SECONDS) == "interrupted"
    release()
    result = ours.recv(timeout=PATIENCE_SECONDS)
    children.join()
    return result


def _sleeps(pid: int | None) -> bool:
    """Whether the process is in a system call that waits: on a futex, or in poll."""
    with open(f"/proc/{pid}/wchan") as file:
        place = file.read()
    return "futex" in place or "poll" in place


@pytest.mark.parametrize(("call", "expected"), [("get", "item"), ("get_many", ["item"]), ("wait", True)])
def test_interrupted_taking_from_a_queue(
    context: SharedMemoryContext, children: Children, call: str, expected: object
) -> None:
    queue = context.Queue()
    assert _interrupt(children, context, call, queue, lambda: queue.put("item")) == expected


@pytest.mark.parametrize("call", ["put", "put_many"])
def test_interrupted_putting_into_a_full_queue(context: SharedMemoryContext, children: Children, call: str) -> None:
    queue = context.Queue(1)
    queue.put("fills it")
    _interrupt(children, context, call, queue, queue.get)
    assert queue.get_nowait() == "put"
    assert queue.empty()


def test_interrupted_join(context: SharedMemoryContext, children: Children) -> None:
    queue = context.JoinableQueue()
    queue.put("task")
    assert _interrupt(children, context, "join", queue, queue.task_done) is True


@pytest.mark.parametrize(
    ("call", "send", "expected"),
    [
        ("recv", lambda conn: conn.send("item"), "item"),
        ("recv_bytes", lambda conn: conn.send_bytes(b"item"), b"item"),
        ("poll", lambda conn: conn.send("item"), True),
        ("wait", lambda conn: conn.send("item"), True),
    ],
)
def test_interrupted_receiving(
    context: SharedMemoryContext, children: Children, call: str, send: Callable[[Any], None], expected: object
) -> None:
    ours, theirs = context.Pipe()
    assert _interrupt(children, context, call, theirs, lambda: send(ours)) == expected
