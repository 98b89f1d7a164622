"""What statistics() counts, and that it says how much was copied."""

import threading
from typing import Any

import numpy as np

import interproc

MIB = 1 << 20


def moved(name: str, seen: "dict[str, int]", before: "dict[str, int]") -> int:
    return seen[name] - before[name]


def test_messages_and_bytes_are_counted_in_and_out() -> None:
    queue = interproc.Queue[Any]()
    for size in (10, 1000, 100_000):
        queue.put(b"x" * size)
    seen = queue.statistics()
    assert (seen["puts"], seen["gets"], seen["items"], seen["most_items"]) == (3, 0, 3, 3)
    assert (seen["bytes_in"], seen["bytes_out"]) == (101_010, 0)
    for _ in range(3):
        queue.get()
    seen = queue.statistics()
    assert (seen["gets"], seen["items"], seen["most_items"], seen["bytes_out"]) == (3, 0, 3, 101_010)
    assert seen["copied_bytes"] == 2 * 101_010


def test_arrays_are_copied_once_bytes_twice_and_lent_arrays_not_at_all() -> None:
    queue = interproc.Queue[Any]()
    copies = []
    lent = queue.empty_array(MIB, "u1")
    for message in (b"x" * MIB, np.zeros(MIB, "u1"), lent):
        before = queue.statistics()
        queue.put(message)
        received = queue.get()
        seen = queue.statistics()
        copies.append(round(moved("copied_bytes", seen, before) / MIB, 3))
        del received
    assert copies == [2, 1, 0]
    assert (seen["lent"], seen["lent_bytes"]) == (1, MIB)
    assert (seen["views"], seen["viewed_bytes"] >= 2 * MIB) == (2, True)


def test_memory_in_use_warm_and_resident() -> None:
    queue = interproc.Queue[Any](warm_bytes=4 * MIB)
    assert queue.statistics()["blocks_used"] == 0
    for _ in range(4):
        queue.put(np.zeros(MIB, "u1"))
    seen = queue.statistics()
    assert seen["blocks_used"] == seen["most_blocks"] == seen["blocks_made"] == 4
    assert 4 * MIB <= seen["bytes_used"] == seen["most_bytes"] + seen["chunks_used"] * 8192 <= seen["max_bytes"]
    assert seen["resident_bytes"] >= 4 * MIB
    kept = [queue.get() for _ in range(4)]
    seen = queue.statistics()
    assert seen["blocks_taken"] == 4
    assert seen["taken_bytes"] == seen["most_taken_bytes"] >= 4 * MIB
    del kept
    seen = queue.statistics()
    assert (seen["blocks_used"], seen["blocks_taken"], seen["taken_bytes"]) == (0, 0, 0)
    assert (seen["most_blocks"], seen["most_taken_bytes"] >= 4 * MIB) == (4, True)
    assert MIB < seen["warm_bytes"] <= seen["resident_bytes"] < 8 * MIB


def test_waits_are_counted() -> None:
    queue = interproc.Queue[Any](1)
    queue.put(1)
    putter = threading.Thread(target=queue.put, args=(2,))
    putter.start()
    while queue.statistics()["put_waits"] == 0:
        pass
    assert [queue.get(), queue.get()] == [1, 2]
    putter.join()
    getter = threading.Thread(target=queue.get)
    getter.start()
    while queue.statistics()["get_waits"] == 0:
        pass
    queue.put(3)
    getter.join()
    assert queue.statistics()["participants"] == 1


def test_every_number_is_explained() -> None:
    queue = interproc.Queue[Any]()
    first, second = interproc.Pipe()
    with first, second:
        seen = first.statistics()
        assert set(seen) == {"sending", "receiving"}
        for explained, counted in ((queue, queue.statistics()), (first, seen["sending"])):
            text = type(explained).statistics.__doc__ or ""
            assert [name for name in counted if name not in text] == []
