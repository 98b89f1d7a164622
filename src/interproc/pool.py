"""Pools of processes and of threads.

A pool's workers may die at any time: only the task that one held is lost with it, and is told. Every outcome comes
back, SystemExit and KeyboardInterrupt too, and so does the failure of an initializer. `pooling` is the engine.
"""

from __future__ import annotations

import multiprocessing
import multiprocessing.dummy
import multiprocessing.pool
import warnings
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeVar

from interproc import context as contexts
from interproc.outcomes import RemoteError
from interproc.pooling.crew import Crew, ThreadCrew
from interproc.pooling.engine import Engine
from interproc.pooling.intake import Intake, Options, default_size, sized
from interproc.pooling.results import (
    ApplyResult,
    AsyncResult,
    IMapIterator,
    IMapUnorderedIterator,
    MapResult,
)
from interproc.pooling.tasks import Allowance, Job
from interproc.util import Finalize

if TYPE_CHECKING:
    from interproc.pooling.results import Callback

    Progress = Callable[[int], object] | Any  # or what has an `update` method for it

_standard: Any = multiprocessing.pool  # typeshed leaves these out
CLOSE: str = _standard.CLOSE
INIT: str = _standard.INIT
RUN: str = _standard.RUN
TERMINATE: str = _standard.TERMINATE
ExceptionWithTraceback = _standard.ExceptionWithTraceback
MaybeEncodingError = _standard.MaybeEncodingError
RemoteTraceback = _standard.RemoteTraceback
mapstar = _standard.mapstar
rebuild_exc = _standard.rebuild_exc
starmapstar = _standard.starmapstar
worker = _standard.worker

T = TypeVar("T")

_CHUNKS_FOR_EACH_WORKER = 4


class Pool(multiprocessing.pool.Pool):
    """Worker processes that run tasks.

    When a worker dies, be it by the out-of-memory killer, a crash or `os._exit`, the task that it held fails with
    `WorkerDied`, or is tried again where `retries` says so; the worker is replaced, and nothing else is touched. What a
    task raises is raised by who waits for its result, with the worker's traceback as its cause: also KeyboardInterrupt
    and SystemExit, and in place of an exception that cannot be made anew here a `RemoteError` with the full text. When
    the initializer fails in a worker, its exception is what every result and every later call raises. Ctrl-C interrupts
    the task that a worker runs, and leaves an idle worker alone. A callback that raises is reported by
    `threading.excepthook`, and the pool goes on.

    `apply`, `map` and `starmap` block until the results are there, `join` until the workers have ended; all others
    return at once. Leaving the pool as a context manager terminates it. A child of fork that inherits a pool cannot use
    it. Workers end with the pool's process, however that ends.

    All methods that run tasks also take, by name:

    - `timeout`: how many seconds a task may run; then its worker is killed and replaced, and it fails with
      `TaskTimedOut`. With a chunksize, a chunk is a task.
    - `retries`: how many more times a task is tried after its worker died.
    - `progress` (but for `apply`): called with how many more items are done, in the supervising thread; or what has an
      `update` method for that, like a bar of tqdm's.

    Args:
        processes: How many workers; None for one for each CPU.
        initializer: Each worker calls it with `initargs` before its first task.
        maxtasksperchild: After how many tasks a worker is replaced; None for never.
        context: The context that starts the workers; None for that of the default start method.

    Raises:
        TypeError: `initializer` cannot be called.
        ValueError: `processes` or `maxtasksperchild` is below one.

    Differs: lambdas, closures and what was typed at a prompt may be tasks and results; results can be cancelled; an
    iterable is read only as far as workers ask; one thread supervises, where multiprocessing has three.
    """

    _state: str
    _engine: Engine

    @staticmethod
    def Process(ctx: Any, *args: Any, **kwds: Any) -> Any:
        """Makes a worker's process; does not start it."""
        return ctx.Process(*args, **kwds)

    def __init__(
        self,
        processes: int | None = None,
        initializer: Callable[..., object] | None = None,
        initargs: Iterable[Any] = (),
        maxtasksperchild: int | None = None,
        context: Any = None,
    ) -> None:
        self._state = INIT  # for __del__, whatever is raised here
        self._pool: list[Any] = []
        self._ctx = context or contexts.default_context.get_context()
        processes = default_size() if processes is None else processes
        if processes < 1:
            raise ValueError(f"Number of processes must be at least 1, not {processes!r}")
        if maxtasksperchild is not None and (not isinstance(maxtasksperchild, int) or maxtasksperchild <= 0):
            raise ValueError(f"maxtasksperchild must be a positive int or None, not {maxtasksperchild!r}")
        if initializer is not None and not callable(initializer):
            raise TypeError(f"initializer must be a callable, not {initializer!r}")
        self._processes = processes
        self._initializer = initializer
        self._initargs = initargs
        self._maxtasksperchild = maxtasksperchild
        crew = self._make_crew(initializer, initargs, maxtasksperchild)
        self._engine = Engine(crew, processes, self._pool)
        self._intake = Intake(self._engine, crew.seals)
        self._terminate = Finalize(self, self._engine.terminate, exitpriority=15)
        self._state = RUN

    def _make_crew(
        self, initializer: Callable[..., object] | None, initargs: Iterable[Any], maxtasks: int | None
    ) -> Crew:
        method = self._ctx.get_start_method()
        return Crew(partial(self.Process, self._ctx), initializer, initargs, maxtasks, method)

    def __del__(self, _warn: Any = warnings.warn, _run: str = RUN) -> None:
        if self._state == _run:
            _warn(f"unclosed running multiprocessing pool {self!r}", ResourceWarning, source=self)

    def __repr__(self) -> str:
        kind = type(self)
        return f"<{kind.__module__}.{kind.__qualname__} state={self._state} pool_size={len(self._pool)}>"

    def __reduce__(self) -> Any:
        raise NotImplementedError("pool objects cannot be passed between processes or pickled")

    def __enter__(self) -> Self:
        if self._state != RUN:  # an initializer's failure is no reason: nobody would terminate the pool then
            raise ValueError("Pool not running")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.terminate()

    @property
    def _cache(self) -> dict[int, Job]:
        return self._engine.jobs

    def _check_running(self) -> None:
        if self._state != RUN:
            raise ValueError("Pool not running")
        if self._engine.failure is not None:
            raise self._engine.failure()

    def _repopulate_pool(self) -> None:
        """Needs nothing: who died is replaced at once."""

    def apply(
        self,
        func: Callable[..., T],
        args: Iterable[Any] = (),
        kwds: Mapping[str, Any] = {},
        *,
        timeout: float | None = None,
        retries: int = 0,
    ) -> T:
        """Runs one task and returns its value; blocks until it is there."""
        return self.apply_async(func, args, kwds, timeout=timeout, retries=retries).get()

    def apply_async(
        self,
        func: Callable[..., T],
        args: Iterable[Any] = (),
        kwds: Mapping[str, Any] = {},
        callback: Callable[[T], object] | None = None,
        error_callback: Callable[[BaseException], object] | None = None,
        *,
        timeout: float | None = None,
        retries: int = 0,
    ) -> AsyncResult[T]:
        """Hands out one task and returns its result-to-be.

        Args:
            callback: Called with the value, in the thread that also receives the other results: it should be quick.
            error_callback: The same with the exception.
        """
        self._check_running()
        result: ApplyResult[T] = ApplyResult(self, callback, error_callback)
        self._link(result, self._intake.call(result, func, args, kwds, Options(timeout, retries)))
        return result

    def map(
        self,
        func: Callable[[Any], T],
        iterable: Iterable[Any],
        chunksize: int | None = None,
        *,
        timeout: float | None = None,
        retries: int = 0,
        progress: Progress | None = None,
    ) -> list[T]:
        """Returns the function's value for each item; blocks until all are there."""
        return self._map(False, func, iterable, chunksize, (None, None), Options(timeout, retries), progress).get()

    def map_async(  # type: ignore[override]
        self,
        func: Callable[[Any], T],
        iterable: Iterable[Any],
        chunksize: int | None = None,
        callback: Callable[[list[T]], object] | None = None,
        error_callback: Callable[[BaseException], object] | None = None,
        *,
        timeout: float | None = None,
        retries: int = 0,
        progress: Progress | None = None,
    ) -> MapResult[T]:
        """Hands out a task for each chunk of items and returns the list-to-be of their values. See `apply_async`."""
        return self._map(
            False, func, iterable, chunksize, (callback, error_callback), Options(timeout, retries), progress
        )

    def starmap(
        self,
        func: Callable[..., T],
        iterable: Iterable[Iterable[Any]],
        chunksize: int | None = None,
        *,
        timeout: float | None = None,
        retries: int = 0,
        progress: Progress | None = None,
    ) -> list[T]:
        """As `map`, with items that are a call's arguments."""
        return self._map(True, func, iterable, chunksize, (None, None), Options(timeout, retries), progress).get()

    def starmap_async(
        self,
        func: Callable[..., T],
        iterable: Iterable[Iterable[Any]],
        chunksize: int | None = None,
        callback: Callable[[list[T]], object] | None = None,
        error_callback: Callable[[BaseException], object] | None = None,
        *,
        timeout: float | None = None,
        retries: int = 0,
        progress: Progress | None = None,
    ) -> AsyncResult[list[T]]:
        """As `map_async`, with items that are a call's arguments."""
        return self._map(
            True, func, iterable, chunksize, (callback, error_callback), Options(timeout, retries), progress
        )

    def imap(  # type: ignore[override]
        self,
        func: Callable[[Any], T],
        iterable: Iterable[Any],
        chunksize: int = 1,
        *,
        buffersize: int | None = None,
        timeout: float | None = None,
        retries: int = 0,
        progress: Progress | None = None,
    ) -> IMapIterator[T]:
        """Returns an iterator that gives the function's values in order, each as soon as it is there.

        Args:
            buffersize: How many tasks may be read from `iterable` whose values were not fetched yet; None for no limit.
        """
        return self._imap(IMapIterator, func, iterable, chunksize, buffersize, Options(timeout, retries), progress)

    def imap_unordered(  # type: ignore[override]
        self,
        func: Callable[[Any], T],
        iterable: Iterable[Any],
        chunksize: int = 1,
        *,
        buffersize: int | None = None,
        timeout: float | None = None,
        retries: int = 0,
        progress: Progress | None = None,
    ) -> IMapIterator[T]:
        """As `imap`, in the order in which the values come."""
        return self._imap(
            IMapUnorderedIterator, func, iterable, chunksize, buffersize, Options(timeout, retries), progress
        )

    def close(self) -> None:
        """Takes no more tasks; once all are done, the workers leave. Returns at once."""
        if self._state == RUN:
            self._state = CLOSE
            self._engine.close()

    def terminate(self) -> None:
        """Ends the workers, whatever they do, and gives up what is not done; blocks until they have ended.

        They are sent SIGTERM, and who has not left two seconds later is killed. What was given up raises
        `concurrent.futures.CancelledError`.
        """
        self._state = TERMINATE
        self._terminate()

    def join(self) -> None:
        """Blocks until all workers have ended, after `close` or `terminate`.

        Raises:
            ValueError: The pool is still running.
        """
        if self._state == RUN:
            raise ValueError("Pool is still running")
        self._engine.thread.join()

    def _map(
        self,
        is_starred: bool,
        function: Callable[..., Any],
        iterable: Iterable[Any],
        chunksize: int | None,
        callbacks: tuple[Callback | None, Callback | None],
        options: Options,
        progress: Progress | None,
    ) -> MapResult[Any]:
        self._check_running()
        items = sized(iterable)
        if chunksize is None:
            share = len(self._pool) * _CHUNKS_FOR_EACH_WORKER or 1
            chunksize = 1 if options.wants_single_tasks else -(-len(items) // share)
        size = 0 if chunksize <= 1 else chunksize
        result: MapResult[Any] = MapResult(self, size, len(items), *callbacks, _updater(progress))
        if not result.ready():
            self._link(result, self._intake.each(result, function, items, size, is_starred, options))
        return result

    def _imap(
        self,
        kind: type[IMapIterator[Any]],
        function: Callable[..., Any],
        iterable: Iterable[Any],
        chunksize: int,
        buffersize: int | None,
        options: Options,
        progress: Progress | None,
    ) -> IMapIterator[Any]:
        self._check_running()
        if chunksize < 1:
            raise ValueError(f"Chunksize must be 1+, not {chunksize!r}")
        if buffersize is not None and buffersize < 1:
            raise ValueError(f"buffersize must be 1 or more, or None, not {buffersize!r}")
        allowance = None if buffersize is None else Allowance(buffersize)
        size = 0 if chunksize == 1 else chunksize
        result = kind(self, size > 0, allowance, _updater(progress))
        items = list(iterable) if isinstance(iterable, (set, frozenset, dict)) else iterable
        self._link(result, self._intake.each(result, function, items, size, False, options, allowance))
        return result

    def _link(self, result: Any, job: Job | None) -> None:
        """Makes a result able to cancel its job."""
        if job is not None:
            result.link(partial(self._engine.cancel, job))


class ThreadPool(Pool, multiprocessing.pool.ThreadPool):  # pyright: ignore[reportIncompatibleMethodOverride]
    """Worker threads that run tasks. Has the methods of `Pool`, and delivers as many outcomes.

    A thread cannot be stopped: `timeout` is refused, and `terminate` leaves those behind that do not end in time.

    Args:
        processes: How many threads; None for one for each CPU.
        initializer: Each thread calls it with `initargs` before its first task.
    """

    def __init__(
        self,
        processes: int | None = None,
        initializer: Callable[..., object] | None = None,
        initargs: Iterable[Any] = (),
    ) -> None:
        Pool.__init__(self, processes, initializer, initargs)

    @staticmethod
    def Process(ctx: Any, *args: Any, **kwds: Any) -> Any:
        """Makes a worker's thread; does not start it."""
        return multiprocessing.dummy.Process(*args, **kwds)

    def _make_crew(
        self, initializer: Callable[..., object] | None, initargs: Iterable[Any], maxtasks: int | None
    ) -> Crew:
        return ThreadCrew(partial(self.Process, self._ctx), initializer, initargs, maxtasks, "thread")


def _updater(progress: Progress | None) -> Callback | None:
    if progress is None:
        return None
    update: Callback = getattr(progress, "update", progress)
    if not callable(update):
        raise TypeError(f"progress must be callable or have an update method, not {progress!r}")
    return update


__all__ = [
    "ApplyResult",
    "AsyncResult",
    "ExceptionWithTraceback",
    "IMapIterator",
    "IMapUnorderedIterator",
    "MapResult",
    "MaybeEncodingError",
    "Pool",
    "RemoteError",
    "RemoteTraceback",
    "ThreadPool",
]
