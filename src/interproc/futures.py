"""An executor whose workers may die: only the task that one held fails with it. See `concurrent.futures`."""

from __future__ import annotations

import concurrent.futures
import itertools
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import CancelledError, Future
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from typing import Any, TypeVar

from interproc import context as contexts
from interproc.errors import WorkerDied
from interproc.pooling.crew import Crew
from interproc.pooling.engine import Engine
from interproc.pooling.intake import Intake, Options, default_size
from interproc.util import Finalize

T = TypeVar("T")


class TaskLost(WorkerDied, BrokenProcessPool):
    """The worker that had a future's task was killed or left. It was replaced, and the executor goes on."""


class ProcessPoolExecutor(concurrent.futures.Executor):
    """Runs calls in worker processes, and gives a future for each.

    The workers start with the first call. When one dies, be it by the out-of-memory killer, a crash or `os._exit`, the
    future of the call that it held fails with `TaskLost`, which is a `BrokenProcessPool` and a `WorkerDied`; the worker
    is replaced. When the initializer fails, all futures and later calls raise `BrokenProcessPool`, with its exception
    as the cause.

    `submit` and `map` return at once. Leaving it as a context manager waits for all calls. So does the end of the
    program. A child of fork that inherits an executor cannot use it.

    Args:
        max_workers: How many workers; None for one for each CPU.
        mp_context: The context that starts them; None for that of the default start method.
        initializer: Each worker calls it with `initargs` before its first call.
        max_tasks_per_child: After how many calls a worker is replaced, under every start method; None for never.
        retries: How many more times a call is tried after its worker died.
        timeout: How many seconds a call may run; then its worker is killed and replaced, and it fails with
            `TaskTimedOut`. None for no limit.

    Raises:
        TypeError: `initializer` cannot be called, or `max_tasks_per_child` is no integer.
        ValueError: A number is out of range.

    Differs: a dead worker fails one future, not all of them; lambdas and closures may be sent.
    """

    def __init__(
        self,
        max_workers: int | None = None,
        mp_context: Any = None,
        initializer: Callable[..., object] | None = None,
        initargs: Iterable[Any] = (),
        *,
        max_tasks_per_child: int | None = None,
        retries: int = 0,
        timeout: float | None = None,
    ) -> None:
        max_workers = default_size() if max_workers is None else max_workers
        if max_workers <= 0:
            raise ValueError(f"max_workers must be greater than 0, not {max_workers!r}")
        if initializer is not None and not callable(initializer):
            raise TypeError(f"initializer must be a callable, not {initializer!r}")
        if max_tasks_per_child is not None:
            if not isinstance(max_tasks_per_child, int):
                raise TypeError(f"max_tasks_per_child must be an integer, not {max_tasks_per_child!r}")
            if max_tasks_per_child <= 0:
                raise ValueError(f"max_tasks_per_child must be >= 1, not {max_tasks_per_child!r}")
        self._options = Options(timeout, retries)
        self._max_workers = max_workers
        self._mp_context = mp_context or contexts.default_context.get_context()
        self._start = partial(_start, self._mp_context, max_workers, initializer, initargs, max_tasks_per_child)
        self._starting = threading.Lock()
        self._engine: Engine | None = None
        self._intake: Intake | None = None
        self._is_shut_down = False

    def submit(self, fn: Callable[..., T], /, *args: Any, **kwargs: Any) -> Future[T]:
        """Schedules a call and returns its future. What cannot be sent is what the future raises.

        Raises:
            BrokenProcessPool: The initializer failed.
            RuntimeError: The executor was shut down.
        """
        with self._starting:
            if self._is_shut_down:
                raise RuntimeError("cannot schedule new futures after shutdown")
            if self._engine is None or self._intake is None:
                self._engine = self._start()
                self._intake = Intake(self._engine, True)
                Finalize(self, self._engine.close)  # when it is forgotten
            engine, intake = self._engine, self._intake
        if engine.failure is not None:
            raise _broken(engine.failure())
        future: Future[T] = Future()
        intake.call(FutureResult(future), fn, args, kwargs, self._options)
        return future

    def map(
        self,
        fn: Callable[..., T],
        *iterables: Iterable[Any],
        timeout: float | None = None,
        chunksize: int = 1,
        buffersize: int | None = None,
    ) -> Iterator[T]:
        """Returns an iterator of the function's values in order. All calls are scheduled at once unless told otherwise.

        Args:
            timeout: How many seconds from now a value may be waited for; then TimeoutError is raised.
            chunksize: How many items are sent at a time.
            buffersize: How many chunks may be scheduled whose values were not fetched yet; None for no limit.

        Raises:
            ValueError: `chunksize` or `buffersize` is below one.
        """
        if chunksize < 1:
            raise ValueError(f"chunksize must be >= 1, not {chunksize!r}")
        if buffersize is not None and buffersize < 1:
            raise ValueError(f"buffersize must be None or >= 1, not {buffersize!r}")
        items = zip(*iterables)  # noqa: B905  # the shortest ends it, as with map()
        chunks = iter(lambda: list(itertools.islice(items, chunksize)), [])
        scheduled = (self.submit(_call_each, fn, chunk) for chunk in chunks)
        first = deque(itertools.islice(scheduled, buffersize))
        end = None if timeout is None else time.monotonic() + timeout
        return _values(first, scheduled, end)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Takes no more calls; once all are done, the workers leave.

        Args:
            wait: Whether to block until then.
            cancel_futures: Whether to cancel the calls that no worker was handed yet.
        """
        with self._starting:
            self._is_shut_down = True
            engine = self._engine
        if engine is None:
            return
        if cancel_futures:
            engine.drop_waiting()
        engine.close()
        if wait:
            engine.thread.join()

    def terminate_workers(self) -> None:
        """Ends the workers, whatever they do, and cancels what is not done. Blocks until they have ended.

        Python has this method since version 3.14.
        """
        with self._starting:
            self._is_shut_down = True
        if self._engine is not None:
            self._engine.terminate()

    kill_workers = terminate_workers


class FutureResult:
    """Leads the outcome of one call to its future."""

    def __init__(self, future: Future[Any]) -> None:
        self._future = future

    def deliver(self, index: int, is_success: bool, value: Any) -> None:
        """Takes the outcome; called by the engine."""
        if self._future.done():
            return
        if is_success:
            self._future.set_result(value)
        elif isinstance(value, WorkerDied):
            self._future.set_exception(TaskLost(value.pid, value.exitcode, value.task))
        else:
            self._future.set_exception(value)

    def set_count(self, count: int) -> None:
        """Needs nothing; called by the engine."""

    def give_up(self, error: BaseException) -> None:
        """Ends with this error; called by the engine."""
        future = self._future
        if isinstance(error, CancelledError):
            if future.cancel():
                future.set_running_or_notify_cancel()
                return
        else:
            error = _broken(error)
        if not future.done():
            future.set_exception(error)

    def begins(self) -> bool:
        """Whether nobody cancelled it; called by the engine."""
        return self._future.set_running_or_notify_cancel()


def _start(
    context: Any,
    size: int,
    initializer: Callable[..., object] | None,
    initargs: Iterable[Any],
    max_tasks: int | None,
) -> Engine:
    crew = Crew(context.Process, initializer, initargs, max_tasks, context.get_start_method())
    engine = Engine(crew, size, [])
    engine.when_over = Finalize(None, _finish, args=(engine,), exitpriority=15).cancel
    return engine


def _finish(engine: Engine) -> None:
    """Lets the end of the program wait for all calls."""
    engine.close()
    engine.thread.join()


def _call_each(function: Callable[..., T], chunk: list[tuple[Any, ...]]) -> list[T]:
    return list(itertools.starmap(function, chunk))


def _values(futures: deque[Future[list[T]]], more: Iterator[Future[list[T]]], end: float | None) -> Iterator[T]:
    """Gives what futures give, and schedules as many more as it has fetched; cancels the rest when it is left."""
    try:
        while futures:
            values = futures[0].result(None if end is None else max(0.0, end - time.monotonic()))
            futures.popleft()
            futures.extend(itertools.islice(more, 1))
            yield from values
            del values
    finally:
        for future in futures:
            future.cancel()


def _broken(cause: BaseException) -> BrokenProcessPool:
    error = BrokenProcessPool(f"the workers cannot be started: {cause!r}")
    error.__cause__ = cause
    return error


__all__ = ["BrokenProcessPool", "ProcessPoolExecutor", "TaskLost"]
