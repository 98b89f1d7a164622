"""What several tests of the binding need."""

import select
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import interproc.codec  # noqa: F401  # tells the native codec about Python
from interproc import _core

# How long a test waits for something that should come at once. Reached only by a failing test.
PATIENCE_SECONDS = 30.0


def make_queue(max_items: int = 0, max_bytes: int = 0) -> _core.QueueBase[Any]:
    """A queue of its own segment."""
    return _core.QueueBase(_core.Segment.create(max_items=max_items, max_bytes=max_bytes))


def until(condition: Callable[[], bool]) -> None:
    """Waits for something that another thread is about to do."""
    bell = threading.Event()
    for _ in range(int(PATIENCE_SECONDS / 0.002)):
        if condition():
            return
        bell.wait(0.002)
    raise AssertionError("it did not happen")


@contextmanager
def in_thread(work: Callable[[], object]) -> Iterator[list[Any]]:
    """Runs something beside the block and joins it: the list gets its result, or the exception it raised."""
    outcome: list[Any] = []

    def run() -> None:
        try:
            outcome.append(work())
        except BaseException as error:
            outcome.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    try:
        yield outcome
    finally:
        thread.join(PATIENCE_SECONDS)
    assert not thread.is_alive()


@contextmanager
def signal_once(condition: Callable[[], bool], handler: Callable[..., Any]) -> Iterator[None]:
    """Sends SIGUSR1 to the main thread as soon as the condition holds; the handler runs there."""
    before = signal.signal(signal.SIGUSR1, handler)

    def send() -> None:
        until(condition)
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGUSR1)

    try:
        with in_thread(send) as outcome:
            yield
        assert outcome == [None]
    finally:
        signal.signal(signal.SIGUSR1, before)


def is_readable(fd: int) -> bool:
    """Whether select says that there is something to take."""
    return bool(select.select([fd], [], [], 0)[0])


class Interruption(BaseException):
    """What a handler raises here, in the place of KeyboardInterrupt."""


def interrupt(*_: object) -> None:
    """A signal handler that raises."""
    raise Interruption
