"""Arrays between processes: right, independent, and their memory comes back however the receiver ends."""

from queue import Empty
from typing import Any

import numpy as np
import pytest

from interproc.context import SharedMemoryContext
from tests.conformance import array_bodies
from tests.contexts import PATIENCE_SECONDS, Children
from tests.waiting_for import until

MIB = 1 << 20
RECORD = np.dtype([("name", "S5"), ("at", "<f8", (2,)), ("count", ">i4")])


def blocks(queue: Any) -> int:
    count: int = queue.statistics()["blocks_used"]
    return count


def samples() -> "list[np.ndarray[Any, Any]]":
    """Arrays of every kind, each small and large."""
    found: list[np.ndarray[Any, Any]] = []
    for count in (0, 1, 7, 40_000):
        numbers = np.arange(count)
        found += [numbers.astype(kind) for kind in ("?", "i1", "u2", "<i4", ">i4", "u8", "e", "f4", ">f8", "c8", "c16")]
        found += [numbers.astype(kind) for kind in ("S7", "U3", "M8[s]", "m8[ns]", "V3", RECORD)]
        found.append(np.array([{"n": n} for n in range(min(count, 9))], dtype=object))
    square = np.arange(90_000.0).reshape(300, 300)
    found += [square, np.asfortranarray(square), square.T, square[::2], square[:, 3:9], square[::-1], square[10:20]]
    found += [np.arange(60_000).reshape(30, 40, 50).transpose(1, 0, 2), np.broadcast_to(np.arange(300.0), (300, 300))]
    found += [np.array(5.0), np.zeros((3, 0, 2)), np.zeros((0, 40_000)), np.array(3, dtype=">i2")]
    return found


def test_arrays_of_every_kind_come_as_they_were(context: SharedMemoryContext, children: Children) -> None:
    arrays = samples()
    tasks, results = context.Queue(), context.Queue()
    children.start(array_bodies.send_back, tasks, results)
    for array in arrays:
        tasks.put(array)
        came = results.get(timeout=PATIENCE_SECONDS)
        assert type(came) is np.ndarray
        assert (came.dtype, came.shape) == (array.dtype, array.shape)
        assert came.dtype.str == array.dtype.str
        if array.dtype.hasobject:
            assert came.tolist() == array.tolist()
        else:
            assert came.tobytes() == array.tobytes()
        assert came.flags.writeable and came.flags.aligned
        contiguous = array.flags.c_contiguous, array.flags.f_contiguous
        if any(contiguous):
            assert (came.flags.c_contiguous, came.flags.f_contiguous) == contiguous
    tasks.put(None)
    children.join()


def test_the_receiver_writes_into_its_own(context: SharedMemoryContext, children: Children) -> None:
    tasks, results = context.Queue(), context.Queue()
    children.start(array_bodies.add_one, tasks, results)
    for size in (1, 1000, 10_000, MIB):
        sent = np.arange(size)
        tasks.put(sent)
        assert np.array_equal(results.get(timeout=PATIENCE_SECONDS), np.arange(size) + 1)
        assert np.array_equal(sent, np.arange(size))
    tasks.put(None)
    children.join()
    assert blocks(tasks) == blocks(results) == 0


def test_a_started_process_has_its_own_of_a_received_array(context: SharedMemoryContext, children: Children) -> None:
    queue = context.SimpleQueue()
    queue.put(np.zeros(MIB, dtype=np.uint8))
    array = queue.get()
    ours, theirs = context.Pipe()
    with ours, theirs:
        children.start(array_bodies.write_when_told, array, theirs)
        del array
        for _ in range(3):
            queue.put(np.full(MIB, 7, dtype=np.uint8))
            queue.get()
        ours.send("go")
        assert ours.recv() == (0, 0, MIB)
        children.join()
    assert blocks(queue) == 0


def test_a_killed_receiver_with_a_thousand_views_leaves_none(context: SharedMemoryContext, children: Children) -> None:
    queue, results = context.Queue(), context.Queue()
    process = children.start(array_bodies.hold, queue, 1000, results)
    for number in range(1000):
        queue.put(np.full(5000, number))
    assert results.get(timeout=PATIENCE_SECONDS) == 1000
    assert queue.statistics()["blocks_taken"] == 1000
    process.kill()
    process.join()
    until(lambda: swept(queue))


def swept(queue: Any) -> bool:
    """Sleeps in the queue for a moment, as who would look for the dead does."""
    with pytest.raises(Empty):
        queue.get(timeout=0.3)
    return blocks(queue) == 0


def test_a_process_may_end_with_views(context: SharedMemoryContext, children: Children) -> None:
    queue = context.Queue()
    children.start(array_bodies.keep_to_the_end, queue, 2)
    queue.put(np.zeros(MIB))
    queue.put({"a": np.zeros(MIB), "b": np.ones(3)})
    children.join()
    assert queue.empty()
    until(lambda: swept(queue))
