"""Signals, timeouts and closing while a call waits: prompt, and nothing is lost."""

import threading
from collections.abc import Callable
from queue import Empty, Full
from typing import Any

import pytest

from interproc.errors import ShutDown
from tests.binding.helpers import Interruption, in_thread, interrupt, make_queue, signal_once, until


def test_handler_that_raises_ends_get_and_loses_nothing() -> None:
    queue = make_queue()
    with pytest.raises(Interruption), signal_once(lambda: queue.statistics()["get_waits"] >= 1, interrupt):
        queue.get()
    queue.put("kept")
    assert queue.get(timeout=0) == "kept"


def test_handler_that_raises_ends_put_and_puts_nothing() -> None:
    queue = make_queue(1)
    queue.put(1)
    with pytest.raises(Interruption), signal_once(lambda: queue.statistics()["put_waits"] >= 1, interrupt):
        queue.put(2)
    assert queue.get_many(5) == [1]


def test_handler_that_raises_ends_put_many_which_tells_the_count() -> None:
    queue = make_queue(70)
    with (
        pytest.raises(Interruption) as caught,
        signal_once(lambda: queue.statistics()["put_waits"] >= 1, interrupt),
    ):
        queue.put_many(range(100))
    assert caught.value.count == 70  # type: ignore[attr-defined]
    assert queue.qsize() == 70


@pytest.mark.parametrize("wait", [lambda queue: queue.get_many(5), lambda queue: queue.get(timeout=1000)])
def test_handler_that_returns_lets_the_wait_go_on(wait: Callable[[Any], object]) -> None:
    queue = make_queue()
    with signal_once(lambda: queue.statistics()["get_waits"] >= 1, lambda *_: queue.put("from the handler")):
        assert wait(queue) in ("from the handler", ["from the handler"])


def test_handler_that_raises_ends_join() -> None:
    queue = make_queue()
    queue.put(1)
    begun = threading.Event()
    with pytest.raises(Interruption), signal_once(begun.is_set, interrupt):
        begun.set()
        queue.join()
    queue.task_done()
    assert queue.join()


def test_handler_may_close_the_queue() -> None:
    queue = make_queue()
    with (
        pytest.raises(ValueError, match="closed"),
        signal_once(lambda: queue.statistics()["get_waits"] >= 1, lambda *_: queue.close()),
    ):
        queue.get()


def test_shutdown_wakes_everybody() -> None:
    queue = make_queue(1)
    with in_thread(queue.get) as first, in_thread(lambda: queue.get_many(3)) as second:
        until(lambda: queue.statistics()["get_waits"] >= 2)
        queue.shutdown()
    assert isinstance(first[0], ShutDown)
    assert isinstance(second[0], ShutDown)


# --- messages in pieces ----------------------------------------------------------------------------------------------

BIG = bytes(range(256)) * 16384  # 4 MiB, through a queue of 256 KiB


@pytest.mark.parametrize(
    "value", [BIG, bytearray(BIG), [BIG[:-1]], BIG.decode("latin-1")], ids=lambda v: type(v).__name__
)
def test_message_larger_than_the_queue_flows_through(value: Any) -> None:
    queue = make_queue(max_bytes=256 * 1024)
    with in_thread(lambda: queue.put(value)) as put:
        assert queue.get() == value
    assert put == [None]
    assert queue.empty()


def test_message_in_pieces_survives_timeouts_of_the_taker() -> None:
    queue = make_queue(max_bytes=256 * 1024)
    received: list[Any] = []
    empty_count = 0
    with in_thread(lambda: queue.put_many([1, BIG, 2])) as put:
        while len(received) < 3:
            try:
                received.append(queue.get(timeout=0))
            except Empty:
                empty_count += 1
    assert received == [1, BIG, 2]
    assert put == [None]


def test_message_in_pieces_survives_a_handler_in_the_taker() -> None:
    queue = make_queue(max_bytes=256 * 1024)
    calls: list[object] = []
    with (
        in_thread(lambda: queue.put(BIG)),
        signal_once(lambda: queue.statistics()["streams"] >= 1, lambda *_: calls.append(1)),
    ):
        assert queue.get() == BIG
    assert calls == [1]


def test_batch_hands_out_what_is_here_before_a_message_in_pieces() -> None:
    queue = make_queue(max_bytes=256 * 1024)
    with in_thread(lambda: queue.put_many([1, 2, BIG, 3])) as put:
        until(lambda: queue.qsize() >= 3)
        assert queue.get_many(10) == [1, 2]
        assert queue.qsize() >= 1
        received: list[Any] = []
        while len(received) < 2:
            received += queue.get_many(10)
    assert received == [BIG, 3]
    assert put == [None]


def test_message_in_pieces_that_nobody_takes_times_out_and_is_withdrawn() -> None:
    queue = make_queue(max_bytes=256 * 1024)
    with pytest.raises(Full):
        queue.put(BIG, timeout=0.05)
    queue.put("next")
    assert queue.get(timeout=10) == "next"


def test_handler_that_raises_withdraws_a_message_in_pieces() -> None:
    queue = make_queue(max_bytes=256 * 1024)
    with pytest.raises(Interruption), signal_once(lambda: queue.statistics()["streams"] >= 1, interrupt):
        queue.put(BIG)
    queue.put("next")
    assert queue.get_many(10, timeout=10) == ["next"]


def test_several_takers_of_messages_in_pieces() -> None:
    queue = make_queue(max_bytes=512 * 1024)
    values = [bytes([index]) * (1 << 20) for index in range(6)]
    with (
        in_thread(lambda: [queue.get() for _ in range(3)]) as one,
        in_thread(lambda: [queue.get() for _ in range(3)]) as two,
    ):
        queue.put_many(values)
    assert sorted(one[0] + two[0]) == values
