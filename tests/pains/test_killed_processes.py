"""PAINS rows 1, 6 and 7: nobody hangs because somebody was killed or stopped."""

import functools
import os
import signal
from queue import Empty
from typing import Any

import pytest

from interproc.context import SharedMemoryContext
from tests.contexts import PATIENCE_SECONDS, Children
from tests.pains import bodies
from tests.waiting_for import until


def _has_waited(queue: Any, times: int) -> bool:
    return bool(queue.statistics()["get_waits"] >= times)


@pytest.mark.parametrize("kind", ["Queue", "JoinableQueue", "SimpleQueue"])
def test_consumer_killed_while_waiting_harms_no_other(
    context: SharedMemoryContext, children: Children, kind: str
) -> None:
    queue = getattr(context, kind)()
    for round_number in range(3):
        victim = children.start(bodies.get_for_ever, queue)
        until(functools.partial(_has_waited, queue, round_number + 1))
        victim.kill()
        victim.join()
        queue.put("x")
        assert queue.qsize() == 1
        assert queue.get(timeout=PATIENCE_SECONDS) == "x"


def test_consumer_killed_while_waiting_leaves_the_item_to_another_process(
    context: SharedMemoryContext, children: Children
) -> None:
    queue = context.Queue()
    victim, survivor = (children.start(bodies.get_for_ever, queue) for _ in range(2))
    until(lambda: queue.statistics()["get_waits"] >= 2)
    victim.kill()
    victim.join()
    queue.put("x")
    children.join(survivor)


def test_producer_killed_inside_a_message_harms_no_other(context: SharedMemoryContext, children: Children) -> None:
    queue = context.Queue(max_bytes=1 << 20)
    victim = children.start(bodies.put_megabytes, queue, 50)
    until(lambda: queue.statistics()["streams"] >= 1)
    victim.kill()
    victim.join()
    children.join(children.start(bodies.put_one, queue, "y"))
    queue.put("z")
    assert queue.get(timeout=PATIENCE_SECONDS) == "y"
    assert queue.get(timeout=PATIENCE_SECONDS) == "z"
    with pytest.raises(Empty):
        queue.get(timeout=0.01)


def test_producer_killed_before_its_message_was_complete_leaves_nothing(
    context: SharedMemoryContext, children: Children
) -> None:
    queue: Any = context.Queue(1)
    queue.put("fills it")
    victim = children.start(bodies.put_megabytes, queue, 20)
    until(lambda: queue.statistics()["put_waits"] >= 1)
    victim.kill()
    victim.join()
    assert queue.get(timeout=PATIENCE_SECONDS) == "fills it"
    with pytest.raises(Empty):
        queue.get(timeout=0.01)
    queue.put("y")
    assert queue.get(timeout=PATIENCE_SECONDS) == "y"


def test_sender_stopped_inside_a_message_does_not_hold_up_a_timeout(
    context: SharedMemoryContext, children: Children
) -> None:
    reader, writer = context.Pipe(duplex=False)
    sender = children.start(bodies.send_megabytes, writer, 50)
    until(lambda: reader.statistics()["receiving"]["streams"] >= 1)
    assert sender.pid is not None
    os.kill(sender.pid, signal.SIGSTOP)
    with pytest.raises(TimeoutError):
        reader.recv_bytes(timeout=0.05)
    os.kill(sender.pid, signal.SIGCONT)
    assert reader.recv_bytes(timeout=PATIENCE_SECONDS) == b"y" * (50 << 20)
    children.join()


def test_join_returns_although_a_consumer_died_between_get_and_task_done(
    context: SharedMemoryContext, children: Children
) -> None:
    queue = context.JoinableQueue()
    queue.put_many(["lost", "done"])
    children.start(bodies.get_and_be_killed, queue).join(PATIENCE_SECONDS)
    assert queue.get(timeout=PATIENCE_SECONDS) == "done"
    queue.task_done()
    assert queue.join(timeout=PATIENCE_SECONDS)
    assert queue.statistics()["failed"] == 1
