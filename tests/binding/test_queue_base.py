"""QueueBase: arguments, closing, batches and what is left over."""

import gc
import math
import os
import pickle
import threading
import weakref
from collections.abc import Iterator
from fractions import Fraction
from queue import Empty, Full
from typing import Any, NoReturn

import pytest

from interproc import _core
from interproc.errors import ShutDown
from tests.binding.helpers import in_thread, is_readable, make_queue, until


class Fails:
    """Raises where it is unpickled."""

    def __init__(self, text: str) -> None:
        self.text = text

    def __reduce__(self) -> tuple[Any, ...]:
        return fail, (self.text,)


def fail(text: str) -> NoReturn:
    raise LookupError(text)


@pytest.mark.parametrize(
    ("method", "arguments", "keywords", "text"),
    [
        ("put", (), {}, "missing required argument 'obj'"),
        ("put", (1, True, None, 4), {}, r"takes at most 3 arguments \(4 given\)"),
        ("put", (1,), {"obj": 2}, "multiple values for argument 'obj'"),
        ("put", (1,), {"wait": 2}, "unexpected keyword argument 'wait'"),
        ("put_nowait", (), {}, "missing required argument 'obj'"),
        ("get", (True, None, 1), {}, "takes at most 2 arguments"),
        ("get", (), {"timeout": "1"}, "must be real number, not str"),
        ("put", (1,), {"timeout": b"1"}, "must be real number, not bytes"),
        ("put_many", (5,), {}, "not iterable"),
        ("get_many", (), {}, "missing required argument 'max_items'"),
        ("get_many", ("3",), {}, "cannot be interpreted as an integer"),
        ("join", ("1",), {}, "must be real number"),
    ],
)
def test_wrong_arguments_raise_type_error(
    method: str, arguments: tuple[object, ...], keywords: dict[str, object], text: str
) -> None:
    queue = make_queue()
    with pytest.raises(TypeError, match=text):
        getattr(queue, method)(*arguments, **keywords)
    assert queue.empty()


def test_arguments_go_by_position_and_by_name() -> None:
    queue = make_queue()
    queue.put(obj=1, block=False, timeout=None)
    queue.put(2, timeout=1, block=True)
    queue.put(3, False, 1.5)
    queue.put_nowait(obj=4)
    queue.put_many(iterable=[5], timeout=1)
    assert [queue.get(timeout=1, block=True), queue.get(False), queue.get(True, 1), queue.get()] == [1, 2, 3, 4]
    assert queue.get_many(max_items=1, block=True, timeout=None) == [5]


@pytest.mark.parametrize("timeout", [0, -1, 0.0, -math.inf, -(10**400), False, Fraction(-1, 2), 1e-9])
def test_timeouts_that_have_passed(timeout: Any) -> None:
    queue = make_queue(1)
    with pytest.raises(Empty):
        queue.get(timeout=timeout)
    queue.put(1, timeout=timeout)
    with pytest.raises(Full):
        queue.put(2, timeout=timeout)


@pytest.mark.parametrize("timeout", [None, math.inf, 10**400, 1e30, 5, True, Fraction(50)])
def test_timeouts_that_do_not_pass(timeout: Any) -> None:
    queue = make_queue(1)
    with in_thread(lambda: queue.get(timeout=timeout)) as taken:
        until(lambda: queue.statistics()["get_waits"] >= 1)
        queue.put(1, timeout=timeout)
    assert taken == [1]


def test_timeout_that_is_nan_raises_value_error() -> None:
    with pytest.raises(ValueError, match="NaN"):
        make_queue().get(timeout=math.nan)


def test_timeout_is_not_looked_at_without_block() -> None:
    with pytest.raises(Empty):
        make_queue().get(False, 1000)


class Undecided:
    def __bool__(self) -> bool:
        raise LookupError("mine")


def test_block_that_is_neither_raises_what_it_raises() -> None:
    with pytest.raises(LookupError, match="mine"):
        make_queue().get(block=Undecided())  # type: ignore[arg-type]


# --- closing ---------------------------------------------------------------------------------------------------------


def test_close_ends_the_threads_that_wait_inside() -> None:
    queue = make_queue(1)
    with in_thread(queue.get) as taker:
        until(lambda: queue.statistics()["get_waits"] >= 1)
        queue.close()
        queue.close()
    assert isinstance(taker[0], ValueError)
    assert queue.closed


def test_close_of_one_object_leaves_the_others() -> None:
    segment = _core.Segment.create()
    one: _core.QueueBase[str] = _core.QueueBase(segment)
    other: _core.QueueBase[str] = _core.QueueBase(segment)
    one.put("still here")
    one.close()
    segment.close()
    assert other.get() == "still here"


class Complains(_core.QueueBase[Any]):
    _closed_error = (OSError, "mine is closed")


def test_subclass_says_how_it_complains() -> None:
    queue = Complains(_core.Segment.create())
    queue.close()
    with pytest.raises(OSError, match="mine is closed"):
        queue.get()


def test_object_that_was_not_initialised_is_closed() -> None:
    queue: _core.QueueBase[int] = _core.QueueBase.__new__(_core.QueueBase)
    assert queue.closed
    queue.close()
    with pytest.raises(ValueError, match="closed"):
        queue.put(1)
    with pytest.raises(ValueError, match="closed"):
        _ = queue.segment


def test_object_is_initialised_once() -> None:
    segment = _core.Segment.create()
    queue: _core.QueueBase[int] = _core.QueueBase(segment)
    with pytest.raises(RuntimeError):
        queue.__init__(segment)  # type: ignore[misc]
    queue.put(1)
    assert queue.get() == 1


@pytest.mark.parametrize(
    ("arguments", "error"),
    [((None,), TypeError), ((), TypeError), ((..., 2), ValueError), ((..., 1), OSError), ((..., -1), OverflowError)],
)
def test_wrong_segments_and_channels_are_refused(arguments: tuple[Any, ...], error: type[Exception]) -> None:
    arguments = tuple(_core.Segment.create() if argument is ... else argument for argument in arguments)
    with pytest.raises(error):
        _core.QueueBase(*arguments)


def test_weak_references_and_subscripts() -> None:
    queue = make_queue()
    assert weakref.ref(queue)() is queue
    assert _core.QueueBase[int].__origin__ is _core.QueueBase  # type: ignore[attr-defined]


# --- batches ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("before_culprit", [0, 1, 63, 64, 65, 200])
def test_put_many_puts_what_comes_before_the_culprit(before_culprit: int) -> None:
    queue = make_queue()
    items: list[object] = [*range(before_culprit), threading.Lock(), "never"]
    with pytest.raises(TypeError) as caught:
        queue.put_many(items)
    assert caught.value.count == before_culprit  # type: ignore[attr-defined]
    assert queue.qsize() == before_culprit


@pytest.mark.parametrize("room", [1, 10, 64, 100])
def test_put_many_counts_what_went_in_before_it_was_full(room: int) -> None:
    queue = make_queue(room)
    with pytest.raises(Full) as caught:
        queue.put_many(range(1000), block=False)
    assert caught.value.count == room  # type: ignore[attr-defined]
    assert queue.get_many(1000) == list(range(room))


def test_put_many_counts_what_went_in_before_the_shutdown() -> None:
    queue = make_queue(10)
    with in_thread(lambda: queue.put_many(range(100))) as outcome:
        until(lambda: queue.statistics()["put_waits"] >= 1)
        queue.shutdown()
    assert isinstance(outcome[0], ShutDown)
    assert outcome[0].count == 10  # type: ignore[attr-defined]


def test_put_many_mixes_all_kinds_and_sizes() -> None:
    queue = make_queue()
    items: list[Any] = [1, "é", b"x" * 5000, [1, 2], bytearray(100_000), None, {"a": 1.5}, 2**70, "y" * 70_000] * 30
    queue.put_many(items)
    received: list[Any] = []
    while len(received) < len(items):
        received += queue.get_many(7)
    assert received == items


def test_put_many_takes_from_an_iterable_that_uses_the_queue() -> None:
    queue = make_queue()

    def numbers() -> Iterator[int]:
        for number in range(100):
            yield number
            queue.put("inner")
            assert queue.get_many(1)

    queue.put_many(numbers())
    assert queue.qsize() == 100


class Closed(Exception):
    """Refuses attributes."""

    def __setattr__(self, name: str, value: object) -> None:
        raise AttributeError(name)


def test_exception_that_takes_no_count_is_raised_all_the_same() -> None:
    def items() -> Iterator[int]:
        yield 1
        raise Closed

    queue = make_queue()
    with pytest.raises(Closed):
        queue.put_many(items())
    assert queue.qsize() == 1


@pytest.mark.parametrize("max_items", [0, -1])
def test_get_many_wants_at_least_one(max_items: int) -> None:
    with pytest.raises(ValueError, match="at least 1"):
        make_queue().get_many(max_items)


def test_get_many_crosses_every_internal_limit() -> None:
    queue = make_queue()
    queue.put_many([0] * 5)
    queue.get_many(5)
    queue.put_many(b"x" * 1000 for _ in range(300))
    assert len(queue.get_many(10**9)) == 300


# --- left over -------------------------------------------------------------------------------------------------------


def test_failures_of_a_batch_come_one_by_one_and_cost_nothing_else() -> None:
    queue = make_queue()
    queue.put_many([1, Fails("first"), 2, Fails("second"), 3])
    queue.put(4)
    with pytest.raises(LookupError, match="first"):
        queue.get_many(5)
    assert queue.qsize() == 5
    assert not queue.empty()
    assert queue.get_many(10) == [1, 2]
    with pytest.raises(LookupError, match="second"):
        queue.get()
    assert queue.get(block=False) == 3
    assert queue.get(timeout=0) == 4
    assert queue.empty()


def test_what_is_left_over_is_dropped_by_an_immediate_shutdown_and_by_close() -> None:
    for immediate in (True, False):
        queue = make_queue()
        queue.put_many([1, Fails("x"), 2])
        with pytest.raises(LookupError):
            queue.get_many(3)
        if immediate:
            queue.shutdown(immediate=True)
        else:
            queue.close()
        with pytest.raises(ShutDown if immediate else ValueError):
            queue.get()


@pytest.mark.parametrize("armed_before", [True, False])
def test_descriptor_is_readable_while_something_is_left_over(armed_before: bool) -> None:
    queue = make_queue()
    if armed_before:
        queue.fileno()
    queue.put_many([1, Fails("x"), 2])
    with pytest.raises(LookupError):
        queue.get_many(3)
    assert is_readable(queue.fileno())
    assert queue.get_many(3) == [1, 2]
    with pytest.raises(Empty):
        queue.get_nowait()
    assert not is_readable(queue.fileno())


def test_what_is_left_over_stays_in_its_process() -> None:
    queue = make_queue()
    queue.put_many([1, Fails("x"), 2])
    with pytest.raises(LookupError):
        queue.get_many(3)
    pid = os.fork()
    if pid == 0:
        os._exit(0 if queue.empty() and queue.qsize() == 0 else 1)
    assert os.waitpid(pid, 0)[1] == 0
    assert queue.get_many(3) == [1, 2]


class Cyclic:
    def __init__(self) -> None:
        self.queue: object = None


def test_cycle_through_what_is_left_over_is_collected() -> None:
    queue = make_queue()
    queue.put_many([Cyclic(), Fails("x"), Cyclic()])
    with pytest.raises(LookupError):
        queue.get_many(3)
    left_over = [held for held in gc.get_referents(queue) if isinstance(held, Cyclic)]
    assert len(left_over) == 2
    left_over[0].queue = queue
    gone = weakref.ref(queue)
    del left_over, queue
    gc.collect()
    assert gone() is None


def test_statistics_and_state() -> None:
    segment = _core.Segment.create(channels=2, max_items=3)
    queue: _core.QueueBase[int] = _core.QueueBase(segment, 1)
    queue.put_many([1, 2, 3])
    assert (queue.maxsize, queue.qsize(), queue.full(), queue.channel) == (3, 3, True, 1)
    assert queue.segment is segment
    assert all(isinstance(value, int) for value in queue.statistics().values())
    assert not queue.is_shut_down
    queue.shutdown()
    assert queue.is_shut_down
    with pytest.raises(TypeError):
        pickle.dumps(queue)
