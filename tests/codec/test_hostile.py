"""Objects that fail while they are pickled or unpickled: the error reaches the caller, and the queue goes on."""

import sys
from collections.abc import Callable
from typing import Any, NoReturn

import pytest

import interproc
from interproc.connection import Connection, Pipe


class FailsToPickle:
    """Raises what it holds."""

    def __init__(self, error: BaseException) -> None:
        self.error = error

    def __reduce__(self) -> NoReturn:
        raise self.error


def fail(kind: type[BaseException]) -> NoReturn:
    """Called while unpickling."""
    raise kind("from unpickling")


class FailsToUnpickle:
    """Raises an error of a kind where it arrives."""

    def __init__(self, kind: type[BaseException]) -> None:
        self.kind = kind

    def __reduce__(self) -> tuple[Any, ...]:
        return fail, (self.kind,)


class PutsWhilePickled:
    """Uses the queue from its own `__reduce__`."""

    def __init__(self, queue: Any) -> None:
        self.queue = queue

    def __reduce__(self) -> tuple[Any, ...]:
        self.queue.put({"from": "inside"})
        return str, ("outside",)


def exit_while_unpickling() -> NoReturn:
    """Ends the interpreter, politely."""
    sys.exit(3)


@pytest.mark.parametrize("kind", [ZeroDivisionError, KeyError, OSError, SystemExit, KeyboardInterrupt])
def test_error_of_reduce_reaches_the_caller_of_put(kind: type[BaseException]) -> None:
    queue: interproc.Queue[Any] = interproc.Queue()
    error = kind("mine")
    with pytest.raises(kind) as caught:
        queue.put([1, FailsToPickle(error)])
    assert caught.value is error
    if isinstance(error, Exception):
        assert error.__notes__[-1] == "while pickling obj[1]"
    assert queue.empty()
    queue.put({"still": "works"})
    assert queue.get() == {"still": "works"}


@pytest.mark.parametrize("kind", [ZeroDivisionError, SystemExit, KeyboardInterrupt])
def test_error_of_unpickling_reaches_the_caller_of_get_and_costs_that_item_only(kind: type[BaseException]) -> None:
    queue: interproc.Queue[Any] = interproc.Queue()
    queue.put_many(["before", FailsToUnpickle(kind), "after"])
    assert queue.get() == "before"
    with pytest.raises(kind, match="from unpickling"):
        queue.get()
    assert queue.get() == "after"
    assert queue.empty()


def test_error_of_unpickling_in_get_many_loses_no_other_item() -> None:
    queue: interproc.Queue[Any] = interproc.Queue()
    queue.put_many([1, 2, FailsToUnpickle(ZeroDivisionError), 3, 4])
    with pytest.raises(ZeroDivisionError):
        queue.get_many(10)
    received: list[Any] = []
    while len(received) < 4:
        received += queue.get_many(10, timeout=1)
    assert received == [1, 2, 3, 4]


def test_error_of_unpickling_leaves_a_connection_usable() -> None:
    one, other = Pipe()
    one.send(FailsToUnpickle(ZeroDivisionError))
    one.send("next")
    with pytest.raises(ZeroDivisionError):
        other.recv()
    assert other.recv() == "next"


def test_reduce_may_use_the_queue_itself() -> None:
    queue: interproc.Queue[Any] = interproc.Queue()
    queue.put([PutsWhilePickled(queue)])
    assert queue.get() == {"from": "inside"}
    assert queue.get() == ["outside"]


def test_bytes_that_are_no_pickle_raise_from_recv() -> None:
    one, other = Pipe()
    one.send_bytes(b"\x80\x05nonsense")
    with pytest.raises(Exception, match=r"\w"):
        other.recv()
    one.send("next")
    assert other.recv() == "next"


def test_deep_nesting_raises_recursion_error() -> None:
    queue: interproc.Queue[Any] = interproc.Queue()
    deep: list[Any] = []
    for _ in range(200_000):
        deep = [deep]
    with pytest.raises(RecursionError):
        queue.put(deep)
    assert queue.empty()
    while deep:
        deep = deep.pop()


@pytest.mark.parametrize("use", [lambda queue: queue.put(object()), lambda queue: queue.put({"a": 1})])
def test_queue_that_was_not_initialised_raises(use: Callable[[Any], object]) -> None:
    queue = interproc.Queue.__new__(interproc.Queue)
    with pytest.raises((ValueError, RuntimeError, TypeError)):
        use(queue)
    connection = Connection.__new__(Connection)
    with pytest.raises((OSError, RuntimeError, TypeError)):
        connection.send(1)
