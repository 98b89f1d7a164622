"""Lent arrays and buffers: filled in place, put without a copy, and used by nobody but the receiver afterwards."""

import copy
import operator
import pickle
import threading
from typing import Any

import numpy as np
import pytest

import interproc
from interproc import _core
from interproc.errors import ShutDown
from interproc.lent_arrays import LentArray, MovedArray
from tests.binding.lending import blocks, counted, lend

MIB = 1 << 20


@pytest.mark.parametrize("kind", ["Queue", "SimpleQueue", "JoinableQueue"])
def test_a_lent_array_is_an_array_in_a_block_that_moves_with_the_put(kind: str) -> None:
    queue = getattr(interproc, kind)()
    array = lend(queue)
    assert isinstance(array, np.ndarray)
    assert array.flags.writeable and array.shape == (512, 300) and array.dtype == float
    assert counted(queue, "blocks_taken") == 1
    array[7] = 4
    queue.put(array)
    assert counted(queue, "lent") == 1
    received = queue.get()
    assert type(received) is np.ndarray
    assert received.flags.writeable
    assert received.shape == (512, 300)
    assert (received[7] == 4).all()
    assert received.sum() == 3 * 512 * 300 + 300
    del received
    assert blocks(queue) == 0


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize(
    "dtype",
    [
        "f4",
        ">i8",
        "S7",
        "M8[s]",
        "m8[ms]",
        [("day", "M8[D]"), ("n", "i2")],
        [("at", "<f8", (2,)), ("count", "i4")],
        "?",
        "c16",
    ],
)
def test_every_dtype_without_objects_in_both_orders_arrives_as_it_was(dtype: Any, order: str) -> None:
    queue = interproc.Queue[Any]()
    model = np.arange(60_000).reshape(30, 2000)
    array = queue.empty_array((30, 2000), dtype, order)
    array[...] = model if not array.dtype.names else np.zeros((), dtype)
    expected = np.array(array)
    queue.put(array)
    received = queue.get()
    assert (received.dtype, received.shape) == (expected.dtype, expected.shape)
    assert received.flags.f_contiguous == (order == "F")
    assert received.tobytes() == expected.tobytes()


@pytest.mark.parametrize("shape", [(), 0, 5, (3, 0, 2), (2, 3), (1,), np.int64(9), [4, 4]])
def test_small_and_empty_ones_have_the_same_manners(shape: Any) -> None:
    queue = interproc.Queue[Any]()
    array = lend(queue, 2, shape)
    expected = np.array(array)
    queue.put({"a": array})
    with pytest.raises(ValueError, match="was put"):
        array.sum()
    received = queue.get()["a"]
    assert received.shape == expected.shape
    assert np.array_equal(received, expected)
    assert counted(queue, "lent") == 0


USES: "list[Any]" = [
    lambda array: array[0],
    lambda array: operator.setitem(array, 0, 1),
    lambda array: array + 1,
    lambda array: 1 - array,
    lambda array: array.__iadd__(1),
    lambda array: array == array,
    lambda array: -array,
    lambda array: np.sum(array),
    lambda array: np.add(array, 1),
    lambda array: np.concatenate([array, array]),
    lambda array: array.sum(),
    lambda array: array.shape,
    lambda array: array.T,
    lambda array: setattr(array, "shape", (1, -1)),
    lambda array: len(array),
    lambda array: list(array),
    lambda array: bool(array),
    lambda array: 3 in array,
    lambda array: array.tobytes(),
    lambda array: pickle.dumps(array, 5),
    lambda array: copy.copy(array),
    lambda array: copy.deepcopy(array),
    lambda array: f"{array:x}",
]


@pytest.mark.parametrize("use", USES)
def test_using_an_array_that_was_put_raises(use: Any) -> None:
    queue = interproc.Queue[Any]()
    array = lend(queue)
    queue.put(array)
    with pytest.raises(ValueError, match=r"was put.*copy\(\)"):
        use(array)
    assert repr(array) == str(array) == "<array that was put>"
    assert isinstance(array, np.ndarray)


def test_it_cannot_be_put_twice() -> None:
    queue, other = interproc.Queue[Any](), interproc.Queue[Any]()
    array = lend(queue)
    queue.put(array)
    for target in (queue, other):
        with pytest.raises(ValueError, match="was put"):
            target.put(array)
        with pytest.raises(ValueError, match="was put"):
            target.put([1, {"deep": array}])
        with pytest.raises(ValueError, match="was put"):
            target.put_many([array])
    assert queue.qsize() == 1


def test_whatever_else_points_into_it_neither_sees_nor_changes_the_message() -> None:
    queue = interproc.Queue[Any]()
    array = lend(queue, 3)
    part, plain = array[100:200], np.asarray(array)
    view: Any = memoryview(array)
    transposed = array.T
    queue.put(array)
    for other in (part, plain, transposed):
        assert not other.any()
    part[...] = 8
    plain[300:] = 9
    view[0, 0] = 5.0
    received = queue.get()
    assert (received == 3).all()
    received[...] = 1
    assert part.min() == 8
    assert plain[0, 0] == 5


def test_what_its_views_write_afterwards_does_not_reach_the_next_array_either() -> None:
    queue = interproc.Queue[Any]()
    old = []
    for i in range(20):
        array = lend(queue, i)
        old.append(np.asarray(array))
        queue.put(array)
        for plain in old:
            plain[...] = -1
        assert (queue.get() == i).all()
        assert all((plain == -1).all() for plain in old)


def test_slices_and_other_views_of_it_are_copied_when_they_are_put() -> None:
    queue = interproc.Queue[Any]()
    array = lend(queue, 3)
    for view in (array[:], array[100:400], array.T, array[::2], np.asarray(array), array.reshape(-1), array.view()):
        queue.put(view)
        received = queue.get()
        assert type(received) is np.ndarray
        assert np.array_equal(received, view)
    assert counted(queue, "lent") == 0
    queue.put(array)
    assert counted(queue, "lent") == 1


def test_put_elsewhere_it_is_copied_and_stays() -> None:
    queue, other = interproc.Queue[Any](), interproc.Queue[Any]()
    array = lend(queue)
    other.put(array)
    assert (other.get() == 3).all()
    assert type(array) is LentArray
    assert counted(other, "lent") == 0
    queue.put(array)
    assert counted(queue, "lent") == 1


def test_never_put_it_gives_its_memory_back() -> None:
    queue = interproc.Queue[Any]()
    array = lend(queue)
    part = array[3:]
    del array
    assert blocks(queue) == 1
    del part
    assert blocks(queue) == 0


def test_after_the_queue_is_closed_it_is_memory_like_any_other() -> None:
    segment = _core.Segment.create()
    watcher: _core.QueueBase[Any] = _core.QueueBase(segment)
    queue = interproc.Queue[Any].__new__(interproc.Queue)
    _core.QueueBase.__init__(queue, segment)
    array = lend(queue)
    queue.close()
    del queue
    array += 1
    watcher.put(array)
    assert (watcher.get() == 4).all()
    assert (array == 4).all()
    assert blocks(watcher) == 1
    del array
    assert blocks(watcher) == 0
    assert watcher.statistics()["participants"] == 1


def test_lenders_never_get_more_than_half_and_go_on_with_private_memory() -> None:
    queue = interproc.Queue[Any](max_bytes=8 * MIB)
    arrays = [lend(queue, i, MIB, np.uint8) for i in range(12)]
    assert counted(queue, "taken_bytes") <= 4 * MIB
    for array in arrays:
        queue.put(array)
        assert isinstance(array, MovedArray)
        received = queue.get()
        assert received[0] == received[-1] == received.mean()
    assert 0 < counted(queue, "lent") < 12


def test_larger_than_the_queue_takes_in_one_piece_it_goes_in_pieces() -> None:
    queue = interproc.Queue[Any](max_bytes=4 * MIB)
    array = lend(queue, 5, 16 * MIB, np.uint8)
    thread = threading.Thread(target=queue.put, args=(array,))
    thread.start()
    assert (queue.get() == 5).all()
    thread.join()
    assert isinstance(array, MovedArray)


def test_with_a_large_rest_of_the_message_everything_goes_in_pieces() -> None:
    queue = interproc.Queue[Any](max_bytes=4 * MIB)
    array = lend(queue, 5, MIB, np.uint8)
    thread = threading.Thread(target=queue.put, args=([array, np.full(8 * MIB, 6, np.uint8)],))
    thread.start()
    received = queue.get()
    thread.join()
    assert (received[0] == 5).all() and (received[1] == 6).all()
    assert isinstance(array, MovedArray)


@pytest.mark.parametrize("kind", ["Queue", "SimpleQueue", "JoinableQueue"])
def test_a_lent_buffer_arrives_as_a_memoryview_and_raises_once_it_was_put(kind: str) -> None:
    queue = getattr(interproc, kind)()
    for size_bytes in (0, 10, 300_000):
        buffer = queue.empty_buffer(size_bytes)
        assert len(buffer) == size_bytes
        assert not buffer.is_moved
        with memoryview(buffer) as view:
            view[:] = b"x" * size_bytes
        kept = memoryview(buffer)
        queue.put([buffer])
        assert buffer.is_moved
        with pytest.raises(ValueError, match="was put"):
            memoryview(buffer)
        with pytest.raises(ValueError, match="was put"):
            queue.put(buffer)
        kept[:1] = b"y"[:size_bytes]
        (received,) = queue.get()
        assert type(received) is memoryview
        assert not received.readonly
        assert received == b"x" * size_bytes
        del received


def test_an_array_of_ones_own_over_a_lent_buffer_is_one_of_its_views() -> None:
    queue = interproc.Queue[Any]()
    buffer = queue.empty_buffer(80_000)
    array = np.frombuffer(memoryview(buffer))
    array[:] = 5
    queue.put(array)
    assert (queue.get() == 5).all()
    queue.put(buffer)
    assert (np.frombuffer(queue.get()) == 5).all()
    assert not array.any()


@pytest.mark.parametrize(
    ("arguments", "kind", "text"),
    [
        (((2, 3), object), TypeError, "references to objects"),
        (((2, 3), [("a", "O")]), TypeError, "references to objects"),
        ((-1,), ValueError, "negative"),
        (((3, -2),), ValueError, "negative"),
        (((1 << 40, 1 << 40),), ValueError, "larger than memory"),
        ((3, float, "K"), ValueError, "'C' or 'F'"),
        (("x",), TypeError, None),
        ((2.5,), TypeError, None),
        ((3, "no such dtype"), TypeError, None),
    ],
)
def test_what_cannot_be_is_refused(arguments: Any, kind: type[Exception], text: str | None) -> None:
    with pytest.raises(kind, match=text):
        interproc.Queue[Any]().empty_array(*arguments)


def test_a_buffer_of_impossible_size_is_refused() -> None:
    queue = interproc.Queue[Any]()
    with pytest.raises(ValueError, match="-1 bytes"):
        queue.empty_buffer(-1)
    with pytest.raises(TypeError):
        queue.empty_buffer("many")  # type: ignore[arg-type]
    with pytest.raises(OverflowError):
        queue.empty_buffer(1 << 70)
    with pytest.raises(MemoryError):
        queue.empty_buffer(1 << 62)
    queue.close()
    with pytest.raises(ValueError, match="closed"):
        queue.empty_buffer(5)
    ended = interproc.Queue[Any]()
    ended.shutdown()
    with pytest.raises(ShutDown):
        ended.empty_array(1 << 20)


def test_what_is_computed_from_it_is_ordinary() -> None:
    array = lend(interproc.Queue[Any](), 3)
    for result in (array + 1, np.sqrt(array), array.sum(axis=0), array * array):
        assert type(result) is np.ndarray
    assert type(array.sum()) is type(array.mean()) is np.float64
    assert (array[0] + array[1]).sum() == 1800
    array += 1
    assert type(array) is LentArray
    assert type(pickle.loads(pickle.dumps(array))) is np.ndarray
    assert type(pickle.loads(pickle.dumps(array, 5))) is np.ndarray


def test_threads_that_lend_and_put_at_the_same_time_get_what_is_theirs() -> None:
    queue = interproc.Queue[Any]()

    def work(number: int) -> None:
        for i in range(40):
            array = queue.empty_array(20_000 + 1000 * number, "i8")
            array[:] = number * 1000 + i
            queue.put(array)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    seen = []
    for _ in range(160):
        array = queue.get()
        assert (array == array[0]).all()
        seen.append(int(array[0]))
        del array
    for thread in threads:
        thread.join()
    assert sorted(seen) == [number * 1000 + i for number in range(4) for i in range(40)]
    assert blocks(queue) == 0
