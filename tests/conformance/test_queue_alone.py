"""The contract of Queue as far as one process shows it."""

import math
import pickle
import threading
from queue import Empty, Full
from typing import Any

import numpy
import pytest

import interproc
from interproc.errors import ShutDown

VALUES: list[Any] = [
    None,
    True,
    False,
    0,
    -1,
    2**63 - 1,
    -(2**63),
    2**63,
    -(10**40),
    0.0,
    -0.0,
    math.inf,
    1e-320,
    "",
    "text",
    "\0",
    "ünï😀",
    "lone surrogate \udc80",
    b"",
    b"\0" * 113,
    bytearray(b"abc"),
    (),
    [],
    {"a": {1, 2}, "b": frozenset({3})},
    [1.5, ("nested", [b"deep"])],
    complex(1, 2),
    range(5),
]


@pytest.mark.parametrize("value", VALUES, ids=repr)
def test_values_come_back_equal_and_of_the_same_type(value: Any) -> None:
    queue: interproc.Queue[Any] = interproc.Queue()
    queue.put(value)
    received = queue.get()
    assert type(received) is type(value)
    assert received == value
    assert math.copysign(1, received) == math.copysign(1, value) if isinstance(value, float) else True


@pytest.mark.parametrize("size", [0, 1, 112, 113, 1024, 1025, 65536, 65537, 1 << 20, (4 << 20) + 3])
@pytest.mark.parametrize("kind", [bytes, bytearray, str])
def test_every_size_comes_back_equal(size: int, kind: Any) -> None:
    queue: interproc.Queue[Any] = interproc.Queue()
    value = "é" * size if kind is str else kind(bytes(index % 251 for index in range(1000)) * (size // 1000 + 1))[:size]
    queue.put(value)
    queue.put("next")
    assert queue.get() == value
    assert queue.get() == "next"


def test_subclasses_of_native_types_keep_their_type() -> None:
    queue: interproc.Queue[Any] = interproc.Queue()
    for value in (_Int(7), _Str("s"), _Bytes(b"b"), _Float(0.5)):
        queue.put(value)
        received = queue.get()
        assert (type(received), received) == (type(value), value)


class _Int(int):
    pass


class _Str(str):
    pass


class _Bytes(bytes):
    pass


class _Float(float):
    pass


@pytest.mark.parametrize("shape", [(0,), (3,), (1000, 7), (600, 1000)])
def test_arrays_arrive_equal_writable_and_unshared(shape: tuple[int, ...]) -> None:
    queue: interproc.Queue[Any] = interproc.Queue()
    array = numpy.arange(math.prod(shape), dtype="f8").reshape(shape)
    queue.put({"array": array, "again": array})
    received = queue.get()
    assert numpy.array_equal(received["array"], array)
    received["array"][...] = -1
    assert numpy.array_equal(array, numpy.arange(math.prod(shape), dtype="f8").reshape(shape))


def test_buffer_outlives_the_queue_and_later_messages() -> None:
    queue: interproc.Queue[Any] = interproc.Queue()
    queue.put(numpy.full(100_000, 1.0))
    first = queue.get()
    for _ in range(10):
        queue.put(numpy.full(100_000, 2.0))
        queue.get()
    del queue
    assert (first == 1.0).all()


def test_readonly_array_arrives_readonly() -> None:
    queue: interproc.Queue[Any] = interproc.Queue()
    array = numpy.zeros(100_000)
    array.flags.writeable = False
    queue.put(array)
    assert not queue.get().flags.writeable


def test_get_many_takes_what_is_there_up_to_the_limit() -> None:
    queue: interproc.Queue[int] = interproc.Queue()
    queue.put_many(range(10))
    assert queue.get_many(4) == [0, 1, 2, 3]
    assert queue.get_many(100) == [4, 5, 6, 7, 8, 9]
    with pytest.raises(Empty):
        queue.get_many(1, block=False)
    with pytest.raises(Empty):
        queue.get_many(5, timeout=0.01)


def test_put_many_that_does_not_fit_tells_how_many_went_in() -> None:
    queue: interproc.Queue[int] = interproc.Queue(3)
    with pytest.raises(Full) as caught:
        queue.put_many(range(5), timeout=0.01)
    assert caught.value.count == 3  # type: ignore[attr-defined]
    assert queue.get_many(10) == [0, 1, 2]


def test_put_many_stops_where_the_iterable_fails() -> None:
    queue: interproc.Queue[int] = interproc.Queue()
    with pytest.raises(ZeroDivisionError) as caught:
        queue.put_many(1 // (2 - number) for number in range(4))
    went_in = caught.value.count  # type: ignore[attr-defined]
    assert queue.qsize() == went_in <= 2


def test_blocking_get_is_woken_by_a_thread() -> None:
    queue: interproc.Queue[int] = interproc.Queue()
    taken: list[int] = []
    thread = threading.Thread(target=lambda: taken.append(queue.get()))
    thread.start()
    queue.put(1)
    thread.join()
    assert taken == [1]


def test_iteration_ends_with_the_shutdown() -> None:
    queue: interproc.Queue[int] = interproc.Queue()
    queue.put_many([1, 2, 3])
    queue.shutdown()
    assert list(queue) == [1, 2, 3]


def test_shutdown_twice_and_immediately_after_is_fine() -> None:
    queue: interproc.Queue[int] = interproc.Queue()
    queue.put(1)
    queue.shutdown()
    queue.shutdown()
    queue.shutdown(immediate=True)
    with pytest.raises(ShutDown):
        queue.get_nowait()
    with pytest.raises(ShutDown):
        queue.put_nowait(1)


@pytest.mark.parametrize(
    ("method", "arguments"),
    [
        ("put", (1,)),
        ("put_nowait", (1,)),
        ("get", ()),
        ("get_nowait", ()),
        ("put_many", ([1],)),
        ("get_many", (1,)),
        ("empty", ()),
        ("qsize", ()),
    ],
)
def test_closed_queue_raises_value_error(method: str, arguments: tuple[object, ...]) -> None:
    queue: interproc.Queue[int] = interproc.Queue()
    queue.close()
    assert queue.closed
    for kind in (ValueError, OSError):
        with pytest.raises(kind, match="closed"):
            getattr(queue, method)(*arguments)
    with pytest.raises(ValueError, match="closed"):
        pickle.dumps(queue)


def test_join_thread_wants_a_closed_queue() -> None:
    queue: interproc.Queue[int] = interproc.Queue()
    with pytest.raises(AssertionError, match="not closed"):
        queue.join_thread()
    queue.cancel_join_thread()
    queue.close()
    queue.join_thread()


def test_closed_simple_queue_raises_os_error() -> None:
    queue: interproc.SimpleQueue[int] = interproc.SimpleQueue()
    queue.close()
    for call in (queue.get, queue.empty, lambda: queue.put(1)):
        with pytest.raises(OSError, match="handle is closed"):
            call()


def test_simple_queue_takes_timeouts() -> None:
    queue: interproc.SimpleQueue[int] = interproc.SimpleQueue()
    assert queue.empty()
    with pytest.raises(Empty):
        queue.get(timeout=0.01)
    queue.put(1, timeout=1)
    assert not queue.empty()
    assert queue.get(timeout=1) == 1


@pytest.mark.parametrize("maxsize", ["1", None, 1.5, [1]])
def test_maxsize_that_is_no_integer_raises_type_error(maxsize: Any) -> None:
    with pytest.raises(TypeError):
        interproc.Queue(maxsize)


@pytest.mark.parametrize("maxsize", [0, -1, -(2**40)])
def test_maxsize_of_zero_or_less_is_no_limit(maxsize: int) -> None:
    queue: interproc.Queue[int] = interproc.Queue(maxsize)
    queue.put_many(range(5000))
    assert not queue.full()
    assert queue.qsize() == 5000


@pytest.mark.parametrize("timeout", ["1", [], object()])
def test_timeout_that_is_no_number_raises_type_error(timeout: Any) -> None:
    queue: interproc.Queue[int] = interproc.Queue(1)
    with pytest.raises(TypeError):
        queue.get(timeout=timeout)
    with pytest.raises(TypeError):
        queue.put(1, timeout=timeout)
    assert queue.empty()


def test_memory_limit_blocks_put_until_there_is_room() -> None:
    queue: interproc.Queue[bytes] = interproc.Queue(max_bytes=4 << 20)
    put = 0
    with pytest.raises(Full):
        while True:
            queue.put(bytes(300_000), timeout=0.01)
            put += 1
    assert 2 <= put <= 14
    for _ in range(put):
        queue.get_nowait()
    queue.put(bytes(300_000), timeout=0.01)


def test_task_done_more_often_than_put_raises_value_error() -> None:
    queue: interproc.JoinableQueue[int] = interproc.JoinableQueue()
    assert queue.join(timeout=0)
    queue.put(1)
    assert not queue.join(timeout=0.01)
    queue.get()
    queue.task_done()
    assert queue.join()
    with pytest.raises(ValueError, match="too many times"):
        queue.task_done()


def test_attributes_of_a_subclass_travel_with_the_handle() -> None:
    queue = _Named("jobs")
    queue.put(1)
    copy = pickle.loads(pickle.dumps(queue))
    assert (type(copy), copy.name, copy.get()) == (_Named, "jobs", 1)


class _Named(interproc.Queue[int]):
    def __init__(self, name: str) -> None:
        super().__init__()
        self.name = name


def test_statistics_count_messages() -> None:
    queue: interproc.Queue[int] = interproc.Queue(5)
    queue.put_many([1, 2, 3])
    queue.get()
    statistics = queue.statistics()
    assert (statistics["puts"], statistics["gets"]) == (3, 1)
    assert (queue.qsize(), queue.maxsize) == (2, 5)


def test_million_items_come_in_order() -> None:
    queue: interproc.Queue[int] = interproc.Queue()
    count = 1_000_000
    for begin in range(0, count, 10_000):
        queue.put_many(range(begin, begin + 10_000))
    assert queue.qsize() == count
    expected = 0
    while expected < count:
        items = queue.get_many(1000)
        assert items == list(range(expected, expected + len(items)))
        expected += len(items)
    assert queue.empty()
