"""Received buffers are views on their block: writable, the receiver's alone, alive as long as anything uses them."""

import gc
import os
import pickle
import threading
from typing import Any

import numpy as np
import pytest

import interproc
from interproc import _core
from tests.binding.helpers import make_queue

MIB = 1 << 20


def pass_on(queue: "_core.QueueBase[Any]", obj: Any) -> Any:
    queue.put(obj)
    return queue.get()


def blocks(queue: "_core.QueueBase[Any]") -> int:
    return queue.statistics()["blocks_used"]


def test_a_received_array_is_writable_and_independent_of_the_senders() -> None:
    queue = make_queue()
    sent = np.arange(100_000)
    received = pass_on(queue, sent)
    received += 1
    sent[:] = 0
    assert np.array_equal(received, np.arange(100_000) + 1)


def test_the_block_goes_back_with_the_last_array_that_uses_it() -> None:
    queue = make_queue()
    first, second = pass_on(queue, (np.zeros(MIB), np.ones(MIB)))
    part = second[10:20]
    assert queue.statistics()["blocks_taken"] == 1
    del first, second
    assert blocks(queue) == 1
    assert part.sum() == 10
    del part
    assert blocks(queue) == 0


def test_a_view_outlives_a_closed_and_a_collected_queue() -> None:
    segment = _core.Segment.create()
    watcher: _core.QueueBase[Any] = _core.QueueBase(segment)
    queue: _core.QueueBase[Any] = _core.QueueBase(segment)
    array = pass_on(queue, np.arange(MIB))
    queue.close()
    del queue
    gc.collect()
    for _ in range(3):
        assert pass_on(watcher, b"x" * MIB) == b"x" * MIB
    assert np.array_equal(array, np.arange(MIB))
    assert blocks(watcher) == 1
    del array
    assert blocks(watcher) == 0
    assert watcher.statistics()["participants"] == 1


def test_a_view_goes_in_another_thread() -> None:
    queue = make_queue()
    arrays = [pass_on(queue, np.full(50_000, i)) for i in range(50)]
    thread = threading.Thread(target=arrays.clear)
    thread.start()
    thread.join()
    assert blocks(queue) == 0


def test_arrays_in_a_cycle_go_back_when_collected() -> None:
    queue = make_queue()
    box: list[Any] = [pass_on(queue, np.zeros(MIB))]
    box.append(box)
    del box
    gc.collect()
    assert blocks(queue) == 0


def test_who_keeps_everything_cannot_starve_the_queue() -> None:
    queue = make_queue(max_bytes=8 * MIB)
    kept = [pass_on(queue, np.full(MIB, i, dtype=np.uint8)) for i in range(64)]
    assert all(int(array[0]) == int(array[-1]) == i for i, array in enumerate(kept))
    statistics = queue.statistics()
    assert 0 < statistics["taken_bytes"] <= 4 * MIB
    assert statistics["most_taken_bytes"] >= statistics["taken_bytes"]
    del kept
    assert queue.statistics()["taken_bytes"] == 0


def test_a_failed_unpickling_gives_the_block_back() -> None:
    queue = make_queue()
    queue.put((np.zeros(MIB), Refuses()))
    with pytest.raises(RuntimeError, match="refused"):
        queue.get()
    gc.collect()
    assert blocks(queue) == 0


class Refuses:
    """Cannot be unpickled."""

    def __reduce__(self) -> tuple[Any, ...]:
        return _refuse, ()


def _refuse() -> None:
    raise RuntimeError("refused")


@pytest.mark.parametrize("readonly", [False, True])
def test_views_keep_what_the_sender_said_about_writing(readonly: bool) -> None:
    data = bytearray(b"a" * MIB)
    queue = make_queue()
    received = pass_on(queue, pickle.PickleBuffer(memoryview(data).toreadonly() if readonly else data))
    assert memoryview(received).readonly == readonly
    assert bytes(received) == data


@pytest.mark.parametrize("parent_writes", [False, True])
def test_after_a_fork_parent_and_child_have_an_array_each(parent_writes: bool) -> None:
    queue = make_queue()
    array = pass_on(queue, np.zeros(MIB, dtype=np.uint8))
    go_read, go_write = os.pipe()
    done_read, done_write = os.pipe()
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            if not parent_writes:
                array[:] = 1
                os.write(done_write, b"x")
            os.read(go_read, 1)
            code = 0 if array.sum() == (0 if parent_writes else MIB) else 2
            del array
        finally:
            os._exit(code)
    if parent_writes:
        array[:] = 1
        del array
        for _ in range(3):
            pass_on(queue, np.full(MIB, 7, dtype=np.uint8))
    else:
        os.read(done_read, 1)
        assert array.sum() == 0
    os.write(go_write, b"x")
    assert os.waitpid(pid, 0)[1] == 0
    for fd in (go_read, go_write, done_read, done_write):
        os.close(fd)
    assert blocks(queue) == (0 if parent_writes else 1)


def test_arrays_larger_than_a_pipe_holds_unread_go_through_in_place() -> None:
    first, second = interproc.Pipe()
    with first, second:
        for _ in range(3):
            first.send(np.arange(4 * MIB))
            received = second.recv()
            assert np.array_equal(received, np.arange(4 * MIB))
        statistics = second.statistics()["receiving"]
        assert (statistics["streams"], statistics["blocks_taken"]) == (0, 1)


def test_a_small_part_of_a_large_message_does_not_keep_the_rest() -> None:
    queue = make_queue()
    message = pass_on(queue, {"large": np.zeros(MIB), "small": np.full(20_000, 7, np.uint8)})
    small = message["small"]
    assert blocks(queue) == 1
    del message
    assert blocks(queue) == 0
    assert (small == 7).all()
    small += 1


def test_parts_of_about_equal_size_are_all_read_in_place() -> None:
    queue = make_queue()
    parts = pass_on(queue, [np.full(20_000, i, np.uint8) for i in range(20)])
    assert queue.statistics()["views"] == 1
    assert all((part == i).all() for i, part in enumerate(parts))


def test_kept_views_cut_up_the_memory_only_until_it_is_needed() -> None:
    queue: _core.QueueBase[Any] = _core.QueueBase(_core.Segment.create(max_bytes=8 * MIB, virtual_bytes=8 * MIB))
    arrays = [pass_on(queue, np.full(60_000, i, np.uint8)) for i in range(60)]
    kept = {i: arrays[i] for i in (10, 30, 50)}
    arrays.clear()
    large = np.arange(MIB // 4)
    for _ in range(3):
        assert np.array_equal(pass_on(queue, large), large)
    assert all((array == i).all() for i, array in kept.items())
    assert queue.statistics()["streams"] == 0
