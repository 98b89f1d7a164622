"""ConnectionBase: lifelines, descriptors, closing and waiting."""

import os
import threading
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NoReturn

import pytest

from interproc import _core
from interproc.errors import TimedOut
from tests.binding.helpers import Interruption, in_thread, interrupt, is_readable, signal_once, until


def make_pipe(max_items: int = 0) -> tuple[_core.ConnectionBase, _core.ConnectionBase]:
    """Two ends of a duplex pipe."""
    segment = _core.Segment.create(channels=2, max_items=max_items, max_bytes=1 << 20)
    read_1, write_0 = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    read_0, write_1 = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    return _core.ConnectionBase(segment, 0, read_0, write_0), _core.ConnectionBase(segment, 1, read_1, write_1)


@contextmanager
def lifeline() -> Iterator[tuple[int, int]]:
    """A pipe whose ends nobody takes over."""
    ends = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    yield ends
    for fd in ends:
        os.close(fd)


class Fails:
    def __reduce__(self) -> tuple[Any, ...]:
        return fail, ()


def fail() -> NoReturn:
    raise LookupError("mine")


@pytest.mark.parametrize(
    ("channels", "side", "reads", "writes"),
    [(2, 2, True, True), (2, -1, True, True), (1, 0, True, False), (1, 1, False, True), (2, 0, False, False)],
)
def test_ends_that_cannot_be_are_refused_and_keep_their_descriptors(
    channels: int, side: int, reads: bool, writes: bool
) -> None:
    with lifeline() as (read_fd, write_fd), pytest.raises(ValueError, match="side"):
        _core.ConnectionBase(
            _core.Segment.create(channels=channels), side, read_fd if reads else -1, write_fd if writes else -1
        )


def test_close_closes_the_descriptors() -> None:
    one, other = make_pipe()
    fds = (one.read_fd, one.write_fd)
    one.close()
    one.close()
    for fd in fds:
        with pytest.raises(OSError):
            os.fstat(fd)
    assert (one.closed, other.closed) == (True, False)
    assert (one.readable, one.writable, one.read_fd, one.write_fd) == (True, True, -1, -1)


def test_weak_reference_and_properties() -> None:
    one, other = make_pipe()
    assert weakref.ref(one)() is one
    assert (one.side, other.side) == (0, 1)
    assert one.segment is other.segment
    one.send(1)
    assert other.statistics()["receiving"]["puts"] == one.statistics()["sending"]["puts"] == 1


def test_object_that_was_not_initialised_is_closed() -> None:
    connection = _core.ConnectionBase.__new__(_core.ConnectionBase)
    assert connection.closed
    connection.close()
    for use in (connection.recv, connection.poll, connection.fileno, connection.statistics):
        with pytest.raises(OSError, match="handle is closed"):
            use()


@pytest.mark.parametrize("receive", ["recv", "recv_bytes", "poll"])
def test_close_ends_the_threads_that_wait_inside(receive: str) -> None:
    one, _other = make_pipe()
    arguments = (None,) if receive == "poll" else ()
    with in_thread(lambda: getattr(one, receive)(*arguments)) as outcome:
        until(lambda: one.statistics()["receiving"]["get_waits"] >= 1 or receive == "poll")
        one.close()
    assert isinstance(outcome[0], OSError)
    assert not isinstance(outcome[0], TimeoutError)


@pytest.mark.parametrize(
    ("receive", "expected"), [("recv", EOFError), ("recv_bytes", EOFError), ("recv_many", EOFError), ("poll", True)]
)
def test_end_of_the_peer_wakes_who_waits(receive: str, expected: Any) -> None:
    one, other = make_pipe()
    arguments: dict[str, tuple[Any, ...]] = {"recv_many": (5,), "poll": (None,)}
    with in_thread(lambda: getattr(one, receive)(*arguments.get(receive, ()))) as outcome:
        until(lambda: other.statistics()["sending"]["get_waits"] >= 1 or receive == "poll")
        other.close()
    assert outcome[0] is True if expected is True else isinstance(outcome[0], expected)


def test_end_of_the_peer_wakes_who_waits_for_room() -> None:
    one, other = make_pipe(max_items=2)
    with in_thread(lambda: one.send_many(range(5))) as outcome:
        until(lambda: other.statistics()["receiving"]["put_waits"] >= 1)
        other.close()
    assert isinstance(outcome[0], BrokenPipeError)
    assert outcome[0].count == 2  # type: ignore[attr-defined]


def test_what_was_sent_before_the_end_is_received_first() -> None:
    one, other = make_pipe()
    one.send_many([1, "two", b"three" * 1000])
    one.close()
    assert [other.poll(), *other.recv_many(2), other.recv(timeout=0)] == [True, 1, "two", b"three" * 1000]
    for receive in (other.recv, other.recv_bytes, lambda: other.recv(timeout=0), lambda: other.recv_many(1)):
        with pytest.raises(EOFError):
            receive()
    with pytest.raises(BrokenPipeError):
        other.send(1)
    with pytest.raises(BrokenPipeError):
        other.send_bytes(b"")


def test_error_of_pickling_comes_before_that_of_the_pipe() -> None:
    one, other = make_pipe()
    other.close()
    with pytest.raises(TypeError):
        one.send(threading.Lock())


def test_what_a_failing_batch_leaves_over_is_received_in_every_way() -> None:
    one, other = make_pipe()
    one.send_many([1, Fails(), b"two", [3], Fails(), "end"])
    with pytest.raises(LookupError):
        other.recv_many(6)
    assert other.poll()
    assert is_readable(other.fileno())
    assert other.recv() == 1
    assert b"two" in other.recv_bytes()
    buffer = bytearray(100)
    assert other.recv_bytes_into(buffer) > 0
    with pytest.raises(LookupError):
        other.recv_bytes()
    assert other.recv() == "end"
    assert not other.poll()


def test_timeouts() -> None:
    one, other = make_pipe(max_items=1)
    with pytest.raises(TimedOut):
        other.recv_many(3, timeout=0)
    with pytest.raises(TimedOut):
        other.recv_bytes_into(bytearray(3), timeout=0.001)
    one.send(1)
    with pytest.raises(TimedOut):
        one.send(2, timeout=0)
    with pytest.raises(TimedOut):
        one.send_bytes(b"", timeout=0.001)
    with pytest.raises(TimedOut) as caught:
        one.send_many([2], timeout=0.001)
    assert caught.value.count == 0  # type: ignore[attr-defined]
    assert not one.poll(0.001)


@pytest.mark.parametrize(
    "wait",
    [
        lambda one: one.recv(),
        lambda one: one.recv_bytes_into(bytearray(1)),
        lambda one: one.recv_many(3),
        lambda one: one.recv(timeout=1000),
    ],
)
def test_handler_that_raises_ends_the_wait_and_loses_nothing(wait: Callable[[Any], object]) -> None:
    one, other = make_pipe()
    with (
        pytest.raises(Interruption),
        signal_once(lambda: one.statistics()["receiving"]["get_waits"] >= 1, interrupt),
    ):
        wait(one)
    other.send("kept")
    assert one.recv(timeout=0) == "kept"


def test_handler_that_returns_lets_poll_go_on() -> None:
    one, other = make_pipe()
    begun: list[int] = []
    with signal_once(lambda: bool(begun), lambda *_: other.send(1)):
        begun.append(1)
        assert one.poll(None)


def test_large_messages_flow_through_a_small_pipe() -> None:
    one, other = make_pipe()
    message = bytes(range(256)) * 20_000

    def send() -> None:
        one.send_bytes(message)
        one.send(message)
        one.send([message])

    with in_thread(send):
        assert other.recv_bytes() == message
        assert other.recv() == message
        assert other.recv() == [message]


def test_recv_bytes_into_takes_large_messages_and_pickles() -> None:
    one, other = make_pipe()
    buffer = bytearray(400_000)
    for size in (0, 1, 1000, 100_000, 400_000):
        one.send_bytes(b"m" * size)
        assert other.recv_bytes_into(buffer) == size
        assert buffer[:size] == b"m" * size
    one.send({"a": 1})
    assert buffer[: other.recv_bytes_into(buffer)].startswith(b"\x80")
