"""PAINS rows 11 to 14, 19 and 20: what put() accepted is there, at once, unchanged, and outlives its producer."""

import signal
import threading
from collections.abc import Callable
from queue import Empty
from typing import Any

import pytest

from interproc.context import SharedMemoryContext
from tests.contexts import PATIENCE_SECONDS, Children
from tests.pains import bodies


@pytest.mark.parametrize("kind", ["Queue", "JoinableQueue", "SimpleQueue"])
def test_put_of_something_unsendable_raises_there_and_harms_nothing(context: SharedMemoryContext, kind: str) -> None:
    queue: Any = getattr(context, kind)()
    with pytest.raises(TypeError, match=r"obj\['lock'\] cannot be sent"):
        queue.put({"lock": threading.Lock()})
    assert queue.empty()
    with pytest.raises(Empty):
        queue.get(timeout=0.01)
    if kind == "JoinableQueue":
        assert queue.join(timeout=PATIENCE_SECONDS)
    queue.put(lambda: 1)  # what multiprocessing loses here arrives
    assert queue.get(timeout=PATIENCE_SECONDS)() == 1


def test_receiver_sees_the_object_as_it_was_put(context: SharedMemoryContext) -> None:
    queue = context.Queue()
    for _ in range(200):
        item = [1]
        queue.put(item)
        item.append(2)
        assert queue.get(timeout=PATIENCE_SECONDS) == [1]


@pytest.mark.parametrize("body", [bodies.put_and_exit_at_once, bodies.put_and_be_terminated])
def test_item_outlives_a_producer_that_ends_abruptly(
    context: SharedMemoryContext, children: Children, body: Callable[..., None]
) -> None:
    queue = context.Queue()
    for _ in range(3):
        process = children.start(body, queue)
        process.join(PATIENCE_SECONDS)
        assert process.exitcode in (0, -signal.SIGTERM)
        assert queue.get_nowait() == "x"


def test_item_is_there_for_every_process_once_put_returned(context: SharedMemoryContext, children: Children) -> None:
    queue = context.Queue()
    ours, theirs = context.Pipe()
    children.start(bodies.look, queue, theirs)
    for number in range(200):
        queue.put(number)
        assert not queue.empty()
        assert queue.qsize() == 1
        if number % 2:
            assert queue.get_nowait() == number
        else:
            ours.send(True)
            assert ours.recv(timeout=PATIENCE_SECONDS) == (False, 1, number)
    ours.send(False)
    children.join()


def test_order_of_cause_and_effect_is_kept_across_producers(context: SharedMemoryContext, children: Children) -> None:
    queue = context.Queue()
    ours, theirs = context.Pipe()
    children.start(bodies.put_when_told, queue, theirs)
    for number in range(0, 80, 2):
        queue.put(number)
        ours.send(number + 1)
        assert ours.recv(timeout=PATIENCE_SECONDS) == "put"
    ours.send(None)
    assert [queue.get_nowait() for _ in range(80)] == list(range(80))
    children.join()


def test_child_ends_although_nobody_read_its_queue(context: SharedMemoryContext, children: Children) -> None:
    queue = context.Queue()
    child = children.start(bodies.put_megabytes, queue, 1)
    children.join(child)
    assert queue.get_nowait() == b"x" * (1 << 20)
