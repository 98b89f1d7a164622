"""Results: what callers of a pool hold, and wait for. The names are those of multiprocessing.pool."""

from __future__ import annotations

import multiprocessing.pool
import sys
import threading
from collections import deque
from collections.abc import Callable
from concurrent.futures import CancelledError
from multiprocessing import TimeoutError
from typing import TYPE_CHECKING, Any, Generic, Self, TypeVar

if TYPE_CHECKING:
    from interproc.pooling.tasks import Allowance

T = TypeVar("T")
Callback = Callable[[Any], object]


class ApplyResult(multiprocessing.pool.ApplyResult[T]):
    """The result-to-be of one task. Made by a pool's methods."""

    _cancel: Callable[[], None] | None = None  # tells the pool

    def __init__(self, pool: Any, callback: Callback | None, error_callback: Callback | None) -> None:
        self._pool = pool  # which lives as long as something is to come
        self._callback = callback
        self._error_callback = error_callback
        self._event = threading.Event()
        self._deciding = threading.Lock()
        self._is_decided = False
        self._success = True
        self._value: Any = None

    def ready(self) -> bool:
        """Whether the result is there."""
        return self._event.is_set()

    def successful(self) -> bool:
        """Whether it is a value.

        Raises:
            ValueError: The result is not there yet.
        """
        if not self.ready():
            raise ValueError(f"{self!r} not ready")
        return self._success

    def wait(self, timeout: float | None = None) -> None:
        """Blocks until the result is there, or so many seconds have passed."""
        self._event.wait(timeout)

    def get(self, timeout: float | None = None) -> T:
        """Returns the value; blocks until it is there.

        Raises:
            TimeoutError: So many seconds passed; the task goes on.
            concurrent.futures.CancelledError: It was cancelled, or the pool was terminated.
            WorkerDied: The worker that had the task was killed or left.
            BaseException: What the task raised.
        """
        self.wait(timeout)
        if not self.ready():
            raise TimeoutError
        if self._success:
            value: T = self._value
            return value
        raise self._value

    def cancel(self) -> bool:
        """Stops the work: what was not begun never begins, and a process that is at it is killed and replaced.

        Returns at once. A thread cannot be stopped: what it comes to is dropped.

        Returns:
            Whether this ended it; False where the result is there already. Afterwards `get` raises CancelledError.
        """
        cancel = self._cancel
        if not self._conclude(False, CancelledError("the task was cancelled")):
            return False
        if cancel is not None:
            cancel()
        return True

    def link(self, cancel: Callable[[], None]) -> None:
        """Learns how to tell the pool that it is not wanted any more; called by the pool."""
        self._cancel = cancel
        if self._is_decided:  # and so forgets the job, which knows this
            self._cancel = None

    def deliver(self, index: int, is_success: bool, value: Any) -> None:
        """Takes the outcome; called by the pool."""
        self._conclude(is_success, value)

    def set_count(self, count: int) -> None:
        """Needs nothing; called by the pool."""

    def give_up(self, error: BaseException) -> None:
        """Ends with this error unless it has ended; called by the pool."""
        self._conclude(False, error)

    def begins(self) -> bool:
        """Whether somebody still wants it; called by the pool."""
        return not self._is_decided

    def _conclude(self, is_success: bool, value: Any) -> bool:
        with self._deciding:
            if self._is_decided:
                return False
            self._is_decided = True
        self._success = is_success
        self._value = value
        callback = self._callback if is_success else self._error_callback
        self._callback = self._error_callback = None
        if callback is not None:
            call_back(callback, value)
        self._event.set()
        self._pool = self._cancel = None
        return True


class MapResult(ApplyResult[list[T]]):
    """The list-to-be of the values of many tasks. It is there once all tasks have ended, also where one has failed."""

    def __init__(
        self,
        pool: Any,
        chunksize: int,
        length: int,
        callback: Callback | None,
        error_callback: Callback | None,
        progress: Callback | None = None,
    ) -> None:
        super().__init__(pool, callback, error_callback)
        self._chunksize = chunksize
        self._values: list[Any] = [None] * length
        self._expected = -(-length // max(1, chunksize))
        self._count: int | None = None  # of the tasks, once it is known
        self._done = 0
        self._end = 0  # of the values that have come
        self._failure: BaseException | None = None
        self._progress = progress
        if self._expected == 0:
            self._conclude(True, self._values)

    def deliver(self, index: int, is_success: bool, value: Any) -> None:
        """Takes the outcome of a task; called by the pool."""
        self._done += 1
        size = self._chunksize or 1
        first = index * size
        if is_success:
            if first >= len(self._values):  # of an iterable that is longer than it said
                self._values += [None] * (first - len(self._values) + 1)
            if self._chunksize == 0:
                self._values[first] = value
                self._end = max(self._end, first + 1)
            else:
                self._values[first : first + size] = value
                self._end = max(self._end, first + len(value))
        elif self._failure is None:
            self._failure = value
        if self._progress is not None:
            call_back(self._progress, max(1, min(size, len(self._values) - first)))
        if self._done == self._count:
            self._finish()

    def set_count(self, count: int) -> None:
        """Learns how many tasks there are, for the iterable may not be as long as it says; called by the pool."""
        self._count = count
        if self._done == count:
            self._finish()

    def _finish(self) -> None:
        if self._count != self._expected:
            del self._values[self._end :]
        if self._failure is None:
            self._conclude(True, self._values)
        else:
            self._conclude(False, self._failure)
        self._values = []


class IMapIterator(multiprocessing.pool.IMapIterator, Generic[T]):  # type: ignore[type-arg]
    """Gives the values of many tasks in their order, each as soon as those before it are there. For any thread."""

    _cancel: Callable[[], None] | None = None  # tells the pool

    def __init__(
        self,
        pool: Any,
        is_chunked: bool = False,
        allowance: Allowance | None = None,
        progress: Callback | None = None,
    ) -> None:
        self._pool = pool  # which lives as long as something is to come
        self._is_chunked = is_chunked
        self._allowance = allowance
        self._progress = progress
        self._cond = threading.Condition(threading.Lock())
        self._items: deque[tuple[bool, Any, bool]] = deque()  # is success, value, whether it is the last of its task
        self._is_awaited = False
        self._index = 0
        self._length: int | None = None
        self._early: dict[int, tuple[bool, Any]] = {}
        self._is_over = False

    def __iter__(self) -> Self:
        return self

    def next(self, timeout: float | None = None) -> T:
        """Returns the next value; blocks until it is there.

        Raises:
            StopIteration: There are no more.
            TimeoutError: So many seconds passed.
            BaseException: What the task raised; the next call goes on with the next one.
        """
        try:
            item = self._items.popleft()
        except IndexError:
            item = self._await(timeout)
        is_success, value, is_last = item
        if is_last and self._allowance is not None:
            self._allowance.refund()
        if is_success:
            result: T = value
            return result
        raise value

    __next__ = next

    def cancel(self) -> bool:
        """Stops the work on what is not there yet, as `AsyncResult.cancel` does; then the next value is CancelledError.

        Returns:
            Whether something was left to stop.
        """
        if self._is_over:
            return False
        cancel = self._cancel
        self.give_up(CancelledError("the tasks were cancelled"))
        if cancel is not None:
            cancel()
        return True

    def link(self, cancel: Callable[[], None]) -> None:
        """Learns how to tell the pool that it is not wanted any more; called by the pool."""
        self._cancel = cancel
        if self._is_over:  # and so forgets the job, which knows this
            self._cancel = None

    def deliver(self, index: int, is_success: bool, value: Any) -> None:
        """Takes the outcome of a task; called by the pool."""
        if self._is_over:
            return
        if index == self._index:
            self._append(is_success, value)
            while self._early and self._index in self._early:
                self._append(*self._early.pop(self._index))
        else:
            self._early[index] = is_success, value
        self._announce()

    def set_count(self, count: int) -> None:
        """Learns how many tasks there are; called by the pool."""
        self._length = count
        self._announce()

    def give_up(self, error: BaseException) -> None:
        """Ends with this error; called by the pool."""
        with self._cond:
            if not self._is_over:
                self._items.append((False, error, True))
                self._end()
                self._cond.notify_all()

    def begins(self) -> bool:
        """Whether somebody still wants it; called by the pool."""
        return not self._is_over

    def _await(self, timeout: float | None) -> tuple[bool, Any, bool]:
        with self._cond:
            self._cond.wait_for(self._has_news, timeout)
            try:
                return self._items.popleft()
            except IndexError:
                if self._is_over:
                    raise StopIteration from None
                raise TimeoutError from None

    def _has_news(self) -> bool:
        self._is_awaited = True  # before it looks: whoever appends looks at this afterwards
        return bool(self._items) or self._is_over

    def _append(self, is_success: bool, value: Any) -> None:
        self._index += 1
        if not is_success or not self._is_chunked:
            self._items.append((is_success, value, True))
            count = 1
        else:
            count = len(value)
            self._items.extend((True, item, place == count) for place, item in enumerate(value, 1))
        if self._progress is not None:
            call_back(self._progress, count)

    def _announce(self) -> None:
        is_over = self._index == self._length
        if self._is_awaited or is_over:
            with self._cond:
                self._is_awaited = False
                if is_over:
                    self._end()
                self._cond.notify_all()

    def _end(self) -> None:
        self._is_over = True
        self._early.clear()
        self._pool = self._cancel = None


class IMapUnorderedIterator(IMapIterator[T]):
    """Gives the values of many tasks, each as soon as it is there."""

    def deliver(self, index: int, is_success: bool, value: Any) -> None:
        """Takes the outcome of a task; called by the pool."""
        if not self._is_over:
            self._append(is_success, value)
            self._announce()


def call_back(callback: Callback, outcome: Any) -> None:
    """Runs a user's callback in the supervising thread, which has to outlive it."""
    try:
        callback(outcome)
    except BaseException:
        threading.excepthook(threading.ExceptHookArgs((*sys.exc_info(), threading.current_thread())))


AsyncResult = ApplyResult

__all__ = ["ApplyResult", "AsyncResult", "IMapIterator", "IMapUnorderedIterator", "MapResult", "call_back"]
