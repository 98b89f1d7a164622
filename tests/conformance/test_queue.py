"""The contract of Queue, over every start method."""

import threading
from queue import Empty, Full

import pytest

from interproc.context import SharedMemoryContext
from interproc.errors import ShutDown
from tests.conformance import bodies
from tests.contexts import PATIENCE_SECONDS, Children


def test_items_of_another_process_come_in_order(context: SharedMemoryContext, children: Children) -> None:
    queue = context.Queue()
    items = [0, -1, 2**63, 1.5, "text", b"bytes", None, True, (1, [2, {"three": 3}]), "x" * 5000]
    children.start(bodies.put_all, queue, items)
    assert [queue.get(timeout=PATIENCE_SECONDS) for _ in items] == items
    children.join()
    assert queue.empty()


@pytest.mark.parametrize("produce", [bodies.put_numbered, bodies.put_many_numbered])
@pytest.mark.parametrize("maxsize", [0, 7])
def test_many_producers_and_consumers_see_every_item_once_and_in_order(
    context: SharedMemoryContext, children: Children, produce: object, maxsize: int
) -> None:
    count = 500
    queue, results = context.Queue(maxsize), context.Queue()
    consumers = [children.start(bodies.collect, queue, results) for _ in range(3)]
    producers = [children.start(produce, queue, producer, count) for producer in range(3)]  # type: ignore[arg-type]
    children.join(*producers)
    queue.shutdown()
    collected = [results.get(timeout=PATIENCE_SECONDS) for _ in consumers]
    children.join()
    for taken in collected:
        for producer in range(3):
            numbers = [number for who, number in taken if who == producer]
            assert numbers == sorted(numbers)
    everything = sorted(item for taken in collected for item in taken)
    assert everything == [(producer, number) for producer in range(3) for number in range(count)]


def test_counts_are_exact_in_every_process(context: SharedMemoryContext, children: Children) -> None:
    queue = context.Queue(2)
    ours, theirs = context.Pipe()
    children.start(bodies.report_counts, queue, theirs)

    def seen_by_child() -> object:
        ours.send("count")
        return ours.recv(timeout=PATIENCE_SECONDS)

    assert seen_by_child() == (0, True, False) == (queue.qsize(), queue.empty(), queue.full())
    queue.put("a")
    assert seen_by_child() == (1, False, False) == (queue.qsize(), queue.empty(), queue.full())
    queue.put("b")
    assert seen_by_child() == (2, False, True) == (queue.qsize(), queue.empty(), queue.full())
    queue.get()
    assert seen_by_child() == (1, False, False)
    ours.send("end")
    children.join()


def test_put_when_full_raises_full_or_blocks_until_get(context: SharedMemoryContext, children: Children) -> None:
    queue = context.Queue(1)
    ours, theirs = context.Pipe()
    queue.put("early")
    with pytest.raises(Full):
        queue.put_nowait("x")
    with pytest.raises(Full):
        queue.put("x", False)
    with pytest.raises(Full):
        queue.put("x", timeout=0.01)
    with pytest.raises(Full):
        queue.put("x", True, -1)
    children.start(bodies.call, queue, "put", theirs)
    assert ours.recv(timeout=PATIENCE_SECONDS) == "calling"
    assert queue.get() == "early"
    assert ours.recv(timeout=PATIENCE_SECONDS) is None
    assert queue.get() == "late"
    children.join()


def test_get_when_empty_raises_empty_or_blocks_until_put(context: SharedMemoryContext, children: Children) -> None:
    queue = context.Queue()
    ours, theirs = context.Pipe()
    with pytest.raises(Empty):
        queue.get(False)
    for timeout in (0.01, 0, -1):
        with pytest.raises(Empty):
            queue.get(True, timeout)
    with pytest.raises(Empty):
        queue.get_nowait()
    children.start(bodies.call, queue, "get", theirs)
    assert ours.recv(timeout=PATIENCE_SECONDS) == "calling"
    queue.put("late")
    assert ours.recv(timeout=PATIENCE_SECONDS) == "late"
    children.join()


@pytest.mark.parametrize("method", ["get", "put"])
@pytest.mark.parametrize("immediate", [False, True])
def test_shutdown_ends_who_blocks_in_another_process(
    context: SharedMemoryContext, children: Children, method: str, immediate: bool
) -> None:
    queue = context.Queue(1)
    if method == "put":
        queue.put("fills it")
    ours, theirs = context.Pipe()
    children.start(bodies.call, queue, method, theirs)
    assert ours.recv(timeout=PATIENCE_SECONDS) == "calling"
    queue.shutdown(immediate)
    assert ours.recv(timeout=PATIENCE_SECONDS) == "ShutDown"
    children.join()


def test_shutdown_lets_consumers_finish_what_is_left(context: SharedMemoryContext, children: Children) -> None:
    queue, results = context.Queue(), context.Queue()
    queue.put_many(range(5))
    queue.shutdown()
    with pytest.raises(ShutDown):
        queue.put(5)
    children.start(bodies.collect, queue, results)
    assert results.get(timeout=PATIENCE_SECONDS) == [0, 1, 2, 3, 4]
    with pytest.raises(ShutDown):
        queue.get()
    children.join()


def test_immediate_shutdown_drops_what_is_left(context: SharedMemoryContext, children: Children) -> None:
    queue, results = context.Queue(), context.Queue()
    queue.put_many(range(5))
    queue.shutdown(immediate=True)
    children.start(bodies.collect, queue, results)
    assert results.get(timeout=PATIENCE_SECONDS) == []
    assert queue.empty()
    children.join()


def test_close_is_for_this_object_only(context: SharedMemoryContext, children: Children) -> None:
    queue, results = context.Queue(), context.Queue()
    queue.put("before")
    children.start(bodies.take, queue, 1, results)
    assert results.get(timeout=PATIENCE_SECONDS) == ["before"]
    queue.close()
    queue.close()
    children.join()


def test_items_bigger_than_the_memory_limit_stream_through(context: SharedMemoryContext, children: Children) -> None:
    queue = context.Queue(max_bytes=1 << 20)
    sizes = [10, 3 << 20, 200_000, 0, 5 << 20, 10]
    children.start(bodies.put_bytes, queue, sizes)
    for size in sizes:
        received = queue.get(timeout=PATIENCE_SECONDS)
        assert len(received) == size
        assert received == received[:1] * size
    children.join()


def test_threads_of_several_processes_share_a_queue(context: SharedMemoryContext, children: Children) -> None:
    queue = context.Queue(5)
    children.start(bodies.put_numbered, queue, 1, 300)
    taken: list[object] = []
    threads = [
        threading.Thread(target=lambda: taken.extend(queue.get(timeout=PATIENCE_SECONDS) for _ in range(100)))
        for _ in range(6)
    ]
    for thread in threads:
        thread.start()
    bodies.put_numbered(queue, 0, 300)
    for thread in threads:
        thread.join()
    assert sorted(taken) == [(producer, number) for producer in range(2) for number in range(300)]  # type: ignore[type-var]
    children.join()
