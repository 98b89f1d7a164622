"""Lent arrays inside other objects, in batches and through connections; puts that fail or wait."""

import dataclasses
import gc
import pickle
import threading
from typing import Any

import numpy as np
import pytest

import interproc
from interproc.errors import Full
from interproc.lent_arrays import LentArray, MovedArray
from tests.binding.lending import blocks, counted, lend


@dataclasses.dataclass
class Frame:
    number: int
    pixels: Any


def test_it_moves_inside_other_objects_beside_views_of_itself() -> None:
    queue = interproc.Queue[Any]()
    first, second, third = lend(queue, 1), lend(queue, 2, order="F"), lend(queue, 3)
    message = {
        "frame": Frame(7, first),
        "pair": (second, third),
        "slice": first[50:60],
        "plain": np.asarray(third),
        "ordinary": np.full(50_000, 9.0),
        "again": first,
        "small": [1, "two", lend(queue, 4, 5)],
    }
    queue.put(message)
    assert counted(queue, "lent") == 3
    received = queue.get()
    assert (received["frame"].pixels == 1).all()
    assert received["again"] is received["frame"].pixels
    assert (received["pair"][0] == 2).all() and received["pair"][0].flags.f_contiguous
    assert (received["pair"][1] == 3).all()
    assert (received["slice"] == 1).all() and received["slice"].shape == (10, 300)
    assert (received["plain"] == 3).all() and received["plain"] is not received["pair"][1]
    assert (received["ordinary"] == 9).all()
    assert (received["small"][2] == 4).all()
    assert all(isinstance(moved, MovedArray) for moved in (first, second, third))
    del received, message
    gc.collect()
    assert blocks(queue) == 0


def test_it_moves_in_messages_that_go_by_value() -> None:
    queue = interproc.Queue[Any]()
    large, small = lend(queue, 1), lend(queue, 2, 5)
    queue.put({"large": large, "small": small, "by value": lambda: 5})
    assert counted(queue, "lent") == 1
    assert isinstance(small, MovedArray) and isinstance(large, MovedArray)
    received = queue.get()
    assert (received["large"] == 1).all() and (received["small"] == 2).all() and received["by value"]() == 5


def test_more_than_a_message_takes_along_are_copied() -> None:
    queue = interproc.Queue[Any]()
    arrays = [lend(queue, i, (100, 100)) for i in range(100)]
    queue.put(arrays)
    assert counted(queue, "lent") == 64
    assert all(isinstance(array, MovedArray) for array in arrays)
    assert all((array == i).all() for i, array in enumerate(queue.get()))


def test_in_a_batch_each_moves_with_its_message() -> None:
    queue = interproc.Queue[Any]()
    first, second = lend(queue, 1), lend(queue, 2)
    queue.put_many([first, 5, first[3:9], np.asarray(first), {"b": second}, second, "end"])
    assert counted(queue, "lent") == 2
    received = queue.get_many(10)
    assert (received[0] == 1).all()
    assert received[1] == 5 and received[6] == "end"
    assert received[2].shape == (6, 300)
    assert all((array == 1).all() for array in received[2:4])
    assert (received[4]["b"] == 2).all() and (received[5] == 2).all()
    del received
    assert blocks(queue) == 0


def test_a_batch_that_stops_leaves_the_rest_as_it_was() -> None:
    queue = interproc.Queue[Any](2)
    arrays = [lend(queue, i) for i in range(4)]
    with pytest.raises(Full) as caught:
        queue.put_many(arrays, timeout=0)
    assert getattr(caught.value, "count") == 2  # noqa: B009
    assert [type(array) for array in arrays] == [MovedArray, MovedArray, LentArray, LentArray]
    assert (arrays[2] == 2).all() and (arrays[3] == 3).all()
    assert [array[0, 0] for array in queue.get_many(5)] == [0, 1]
    queue.put_many(arrays[2:])
    assert [array[0, 0] for array in queue.get_many(5)] == [2, 3]


def test_a_put_that_raises_leaves_the_array_as_it_was() -> None:
    queue = interproc.Queue[Any](1)
    queue.put(0)
    array = lend(queue)
    part = array[5:]
    for timeout in (0, 0.01):
        with pytest.raises(Full):
            queue.put([array], timeout=timeout)
        assert type(array) is LentArray
        assert (array == 3).all() and (part == 3).all()
    with pytest.raises(TypeError):
        queue.put([array, threading.Lock()])
    assert (array == 3).all()
    queue.get()
    queue.put(array)
    assert (queue.get() == 3).all()


def test_a_put_that_waits_goes_on_when_there_is_room() -> None:
    queue = interproc.Queue[Any](1)
    queue.put(0)
    array = lend(queue)
    thread = threading.Thread(target=queue.put, args=(array,))
    thread.start()
    assert queue.get() == 0
    assert (queue.get() == 3).all()
    thread.join()
    assert isinstance(array, MovedArray)


@pytest.mark.parametrize("duplex", [True, False])
def test_connections_lend_too(duplex: bool) -> None:
    receiver, sender = interproc.Pipe(duplex)
    with receiver, sender:
        for fill in (1, 2):
            array = lend(sender, fill, (1000, 1000))
            sender.send({"a": array})
            with pytest.raises(ValueError, match="was put"):
                array.sum()
            assert (receiver.recv()["a"] == fill).all()
        assert sender.statistics()["sending"]["lent"] == 2
        sender.send_many([lend(sender, 4, (100, 100)), 5])
        assert [np.max(item) for item in receiver.recv_many(2)] == [4, 5]
        kept = lend(sender, 6)
    assert (kept == 6).all()
    with pytest.raises(OSError, match="closed"):
        sender.empty_array(5)
    if not duplex:
        with pytest.raises(OSError, match="closed"):
            receiver.empty_array(5)


def test_only_ends_that_send_lend() -> None:
    receiver, sender = interproc.Pipe(duplex=False)
    with receiver, sender, pytest.raises(OSError, match="read-only"):
        receiver.empty_array(5)


def test_recv_bytes_of_a_message_with_a_lent_array_is_its_pickle() -> None:
    receiver, sender = interproc.Pipe()
    with receiver, sender:
        sender.send(lend(sender, 4))
        assert (pickle.loads(receiver.recv_bytes()) == 4).all()


def test_a_context_lends_buffers_of_the_queue_or_connection_they_go_to() -> None:
    queue = interproc.Queue[Any]()
    receiver, sender = interproc.Pipe()
    with receiver, sender:
        for lender, put in ((queue, queue.put), (sender, sender.send)):
            buffer = interproc.buffer(100_000, lender)
            memoryview(buffer)[:3] = b"abc"
            put(buffer)
        assert bytes(queue.get()[:3]) == bytes(receiver.recv()[:3]) == b"abc"
    assert counted(queue, "lent") == 1


class Interleaved:
    """Pickles only after another thread has put the array."""

    def __init__(self, action: Any) -> None:
        self.action = action

    def __reduce__(self) -> tuple[Any, ...]:
        self.action()
        return int, (5,)


def test_of_two_that_put_it_at_the_same_time_one_does_and_the_other_raises() -> None:
    queue = interproc.Queue[Any]()
    array = lend(queue)
    with pytest.raises(ValueError, match="was put"):
        queue.put([array, Interleaved(lambda: queue.put(array))])
    assert isinstance(array, MovedArray)
    assert queue.qsize() == 1
    assert (queue.get() == 3).all()
    assert counted(queue, "lent") == 1


def test_an_array_used_while_its_message_is_pickled_is_as_it_was() -> None:
    queue = interproc.Queue[Any]()
    array = lend(queue)
    seen = []
    queue.put([array, Interleaved(lambda: seen.append(array.sum()))])
    assert seen == [3 * 512 * 300]
    assert (queue.get()[0] == 3).all()


def test_results_written_into_it_stay_what_they_are() -> None:
    queue = interproc.Queue[Any]()
    array = lend(queue)
    np.add(array, 1, out=array)
    array[...] = np.multiply(array, 2)
    np.copyto(array[:5], 0)
    queue.put(array)
    received = queue.get()
    assert (received[:5] == 0).all() and (received[5:] == 8).all()


def test_a_queue_that_redelivers_copies_what_it_lent() -> None:
    queue = interproc.JoinableQueue[Any](redeliver=True)
    array = lend(queue)
    queue.put({"array": array})
    assert isinstance(array, MovedArray)
    assert (queue.get()["array"] == 3).all()
    queue.task_done()
    assert counted(queue, "lent") == 0
    assert blocks(queue) == 0
