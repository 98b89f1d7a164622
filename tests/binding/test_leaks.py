"""No reference and no memory stays behind."""

import gc
import sys
from collections.abc import Callable
from contextlib import suppress
from queue import Empty
from typing import Any

import numpy
import pytest

from interproc import _core
from tests.binding.helpers import make_queue
from tests.binding.test_connection_base import make_pipe

ROUNDS = 500
REPEATS = 6


class Fails:
    def __reduce__(self) -> tuple[Any, ...]:
        raise LookupError


def failing_put(queue: _core.QueueBase[Any]) -> None:
    with suppress(LookupError):
        queue.put([1, Fails()])


def failing_get(queue: _core.QueueBase[Any]) -> None:
    with suppress(Empty):
        queue.get(timeout=0)


def make_and_drop(_: object) -> None:
    make_queue().put({"a": 1})
    one, other = make_pipe()
    one.send([1])
    other.recv()


def put_and_get(queue: _core.QueueBase[Any], value: object) -> None:
    queue.put(value)
    queue.get()


def put_and_get_batch(queue: _core.QueueBase[Any]) -> None:
    queue.put_many([1, "a", [2]])
    queue.get_many(3)


STEPS: dict[str, Callable[[_core.QueueBase[Any]], object]] = {
    "native": lambda queue: put_and_get(queue, 10**15),
    "text": lambda queue: put_and_get(queue, "é" * 50),
    "bytes": lambda queue: put_and_get(queue, b"x" * 3000),
    "pickle": lambda queue: put_and_get(queue, {"a": [1, 2.5], "b": ("x", None)}),
    "large pickle": lambda queue: put_and_get(queue, [bytes(70_000), [1]]),
    "array": lambda queue: put_and_get(queue, numpy.zeros(5000)),
    "by value": lambda queue: put_and_get(queue, lambda: 1),
    "batch": put_and_get_batch,
    "failing put": failing_put,
    "failing get": failing_get,
    "statistics": lambda queue: (queue.statistics(), queue.qsize(), queue.segment, queue.maxsize),
    "objects": make_and_drop,
}


def growth(step: Callable[[], object]) -> int:
    """How many blocks of memory are left after many rounds."""
    gc.collect()
    before = sys.getallocatedblocks()
    for _ in range(ROUNDS):
        step()
    gc.collect()
    return sys.getallocatedblocks() - before


@pytest.mark.parametrize("name", STEPS)
def test_memory_does_not_grow(name: str) -> None:
    queue, step = make_queue(), STEPS[name]
    # Caches of the interpreter and of cloudpickle grow, too, but not for ever; what leaks does it every time.
    assert any(growth(lambda: step(queue)) < ROUNDS // 4 for _ in range(REPEATS))


@pytest.mark.parametrize(
    "value", [10**30, "text" * 9, "é" * 9, b"bytes" * 9, ["list"], 1.5, numpy.zeros(9000), bytearray(90_000)], ids=type
)
def test_references_to_what_was_put_are_given_back(value: Any) -> None:
    queue = make_queue()
    before = sys.getrefcount(value)
    for _ in range(10):
        queue.put(value)
        queue.put_many([value, value])
        queue.put(obj=value, timeout=1)
        queue.get()
    assert sys.getrefcount(value) == before


def test_references_to_the_singletons_stay_about_the_same() -> None:
    queue = make_queue()
    before = [sys.getrefcount(value) for value in (None, True, False)]
    for _ in range(ROUNDS):
        for value in (None, True, False):
            queue.put(value)
            queue.get()
    after = [sys.getrefcount(value) for value in (None, True, False)]
    assert all(abs(new - old) < ROUNDS // 2 for new, old in zip(after, before, strict=True))


def test_references_to_the_segment_and_the_queue_are_given_back() -> None:
    segment = _core.Segment.create()
    before = sys.getrefcount(segment)
    queues: list[_core.QueueBase[int]] = [_core.QueueBase(segment) for _ in range(20)]
    while queues:
        queues[0].put(1)
        queues.pop(0).close()
    assert sys.getrefcount(segment) == before
