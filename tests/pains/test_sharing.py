"""PAINS rows 18, 41 and 44: one connection for many threads, handles that can be sent, many messages at once."""

from typing import Any

import pytest

from interproc.context import SharedMemoryContext
from tests.contexts import PATIENCE_SECONDS, Children
from tests.pains import bodies


def test_threads_sending_on_one_connection_do_not_mix_their_bytes(
    context: SharedMemoryContext, children: Children
) -> None:
    reader, writer = context.Pipe(duplex=False)
    results = context.Queue()
    children.start(bodies.receive_messages, reader, 40, results)
    bodies.send_from_threads(writer, 20, 300_000)
    received = results.get(timeout=PATIENCE_SECONDS)
    assert sorted(received) == [b"a" * 300_000] * 20 + [b"b" * 300_000] * 20
    children.join()


def test_two_processes_receiving_on_one_connection_share_whole_messages(
    context: SharedMemoryContext, children: Children
) -> None:
    reader, writer = context.Pipe(duplex=False)
    results = context.Queue()
    for _ in range(2):
        children.start(bodies.receive_messages, reader, 20, results)
    bodies.send_from_threads(writer, 20, 10_000)
    received = results.get(timeout=PATIENCE_SECONDS) + results.get(timeout=PATIENCE_SECONDS)
    assert sorted(received) == [b"a" * 10_000] * 20 + [b"b" * 10_000] * 20
    children.join()


@pytest.mark.parametrize("kind", ["Queue", "JoinableQueue", "SimpleQueue"])
def test_queues_go_to_pool_tasks_and_through_queues(context: SharedMemoryContext, kind: str) -> None:
    queue: Any = getattr(context, kind)()
    with context.Pool(1) as pool:
        assert pool.apply_async(bodies.use, (queue,)).get(PATIENCE_SECONDS) == "done"
    assert queue.get(timeout=PATIENCE_SECONDS) == "from a task"
    carrier = context.Queue()
    carrier.put(queue)
    carrier.get().put("through a queue")
    assert queue.get(timeout=PATIENCE_SECONDS) == "through a queue"


def test_many_messages_go_at_once(context: SharedMemoryContext) -> None:
    queue = context.Queue()
    queue.put_many(range(64))
    assert queue.get_many(64) == list(range(64))
    reader, writer = context.Pipe(duplex=False)
    writer.send_many(range(64))
    received: list[int] = []
    while len(received) < 64:
        received += reader.recv_many(64)
    assert received == list(range(64))
