"""Objects whose code uses the queue, closes it, or fails, while they are encoded, decoded and dropped."""

import functools
import gc
import sys
from collections.abc import Callable
from typing import Any

import pytest

from interproc import _core
from tests.binding.helpers import in_thread, make_queue

_calls: list[Callable[[], object]] = []


def call_next(value: object) -> object:
    """Unpickles to `value`, after running what the test left in `_calls`."""
    while _calls:
        _calls.pop()()
    return value


class RunsWhenPickled:
    def __init__(self, call: Callable[[], object], value: object = "value") -> None:
        self.call = call
        self.value = value

    def __reduce__(self) -> tuple[Any, ...]:
        self.call()
        return str, (self.value,)


class RunsWhenUnpickled:
    def __init__(self, value: object = "value") -> None:
        self.value = value

    def __reduce__(self) -> tuple[Any, ...]:
        return call_next, (self.value,)


class RunsWhenDropped:
    def __init__(self, call: Callable[[], object]) -> None:
        self.call = call

    def __reduce__(self) -> tuple[Any, ...]:
        return str, ("dropped",)

    def __del__(self) -> None:
        self.call()


def test_pickling_may_use_the_queue_to_any_depth() -> None:
    queue = make_queue()

    def nest(depth: int) -> None:
        if depth > 0:
            queue.put([depth, RunsWhenPickled(lambda: nest(depth - 1))])

    nest(12)
    assert [queue.get()[0] for _ in range(12)] == list(range(1, 13))


def test_pickling_in_a_batch_may_put_batches() -> None:
    queue = make_queue()
    queue.put_many([{"a": 1}, RunsWhenPickled(lambda: queue.put_many([{"inner": i} for i in range(70)])), {"b": 2}])
    received: list[object] = []
    while len(received) < 73:
        received += queue.get_many(100)
    assert received[70:] == [{"a": 1}, "value", {"b": 2}]


def test_unpickling_may_take_from_the_queue() -> None:
    queue = make_queue()
    queue.put_many([RunsWhenUnpickled(), "second", RunsWhenUnpickled(b"x" * 9000), "fourth"])
    seen: list[object] = []
    _calls.append(lambda: seen.append(queue.get()))
    assert queue.get() == "value"
    _calls.append(lambda: seen.append(queue.get()))
    assert queue.get() == b"x" * 9000
    assert seen == ["second", "fourth"]


def test_unpickling_in_a_batch_may_take_and_put() -> None:
    queue = make_queue()
    queue.put_many([1, RunsWhenUnpickled(), 3])
    queue.put_many(["x"] * 64)
    _calls.append(lambda: queue.put(queue.get_many(64)))
    assert queue.get_many(3) == [1, "value", 3]
    assert queue.get(timeout=0) == ["x"] * 64 or queue.qsize() > 0


def test_dropping_may_put() -> None:
    queue = make_queue()
    queue.put_many(RunsWhenDropped(lambda: queue.put("from del")) for _ in range(100))
    gc.collect()
    received = queue.get_many(1000)
    while not queue.empty():
        received += queue.get_many(1000)
    assert sorted(received) == ["dropped"] * 100 + ["from del"] * 100


@pytest.mark.parametrize("put", [lambda queue, item: queue.put(item), lambda queue, item: queue.put_many([1, item])])
def test_pickling_may_close_the_queue(put: Callable[[Any, object], object]) -> None:
    queue = make_queue()
    with pytest.raises(ValueError, match="closed"):
        put(queue, RunsWhenPickled(queue.close))


@pytest.mark.parametrize("size", [10, 5000, 200_000])
def test_unpickling_may_close_the_queue(size: int) -> None:
    queue = make_queue()
    queue.put_many([RunsWhenUnpickled(b"x" * size), "lost with the close"])
    _calls.append(queue.close)
    assert queue.get() == b"x" * size
    assert queue.closed


def test_unpickling_in_a_batch_may_close_the_queue() -> None:
    queue = make_queue()
    queue.put_many([1, RunsWhenUnpickled(), b"y" * 5000])
    _calls.append(queue.close)
    assert queue.get_many(2) == [1, "value"]
    assert queue.closed


def test_unpickling_may_drop_the_last_reference() -> None:
    holder = [make_queue()]
    holder[0].put(RunsWhenUnpickled(b"z" * 5000))
    _calls.append(holder.clear)
    assert holder[0].get() == b"z" * 5000
    assert not holder


def test_failed_pickles_leave_no_traces_in_the_next() -> None:
    queue = make_queue()
    shared = ["shared"]
    for _ in range(20):
        with pytest.raises(ZeroDivisionError):
            queue.put([shared, RunsWhenPickled(lambda: 1 // 0)])
        queue.put([shared, shared])
        first, second = queue.get()
        assert first is second
        assert first == shared


def test_messages_share_no_memo() -> None:
    queue = make_queue()
    shared = ["shared"]
    queue.put_many([[shared], [shared]])
    first, second = queue.get_many(2)
    assert first == second == [shared]
    assert first[0] is not second[0]


def test_recursion_without_end_raises_and_the_queue_goes_on() -> None:
    queue = make_queue()
    endless = RunsWhenPickled(lambda: queue.put(endless))
    with pytest.raises(RecursionError):
        queue.put(endless)
    queue.put({"a": 1})
    assert queue.get() == {"a": 1}


def test_threads_pickle_side_by_side() -> None:
    queue = make_queue()

    def put_all(name: str) -> None:
        for i in range(300):
            queue.put((name, i, [name] * 3))

    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    try:
        works = [in_thread(functools.partial(put_all, name)) for name in "abc"]
        with works[0], works[1], works[2]:
            received = [queue.get() for _ in range(900)]
    finally:
        sys.setswitchinterval(before)
    for name in "abc":
        assert [item for item in received if item[0] == name] == [(name, i, [name] * 3) for i in range(300)]


def test_sink_of_another_cannot_be_written_to() -> None:
    stolen: list[Any] = []

    def steal() -> None:
        stolen.extend(obj for obj in gc.get_objects() if type(obj) is _core.Sink)

    queue = make_queue()
    queue.put([RunsWhenPickled(steal)])
    assert queue.get() == ["value"]
    assert stolen
    with pytest.raises(ValueError, match="not in use"):
        stolen[0].write(b"nonsense")
    with pytest.raises(TypeError):
        _core.Sink()
