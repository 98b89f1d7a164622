"""Pools of processes and of threads: the standard library's, except for what a task may end with.

Tasks and results travel sealed: what cannot be made anew where it arrives fails the one task it belongs to. Every
outcome comes back, SystemExit and KeyboardInterrupt too, and so does the failure of an initializer.
"""

from __future__ import annotations

import multiprocessing.pool
import signal
import threading
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from multiprocessing.pool import (
    ApplyResult,
    AsyncResult,
    IMapIterator,
    IMapUnorderedIterator,
    MapResult,
)
from typing import Any, Self

from interproc import context as contexts
from interproc.outcomes import RemoteError, pack, unpack
from interproc.sealing import Sealer, is_safe, unseal

_standard: Any = multiprocessing.pool  # typeshed leaves these out
CLOSE = _standard.CLOSE
INIT = _standard.INIT
RUN = _standard.RUN
TERMINATE = _standard.TERMINATE
ExceptionWithTraceback = _standard.ExceptionWithTraceback
MaybeEncodingError = _standard.MaybeEncodingError
RemoteTraceback = _standard.RemoteTraceback
mapstar = _standard.mapstar
rebuild_exc = _standard.rebuild_exc
starmapstar = _standard.starmapstar

# What came of a task, between processes.
_FAILURE = 0
_SEALED = 1
_VALUE = 2


class Pool(multiprocessing.pool.Pool):
    """Worker processes that run tasks.

    What a task raises is raised by who waits for its result, with the worker's traceback as its cause: also
    KeyboardInterrupt and SystemExit, and in place of an exception that cannot be made anew here a `RemoteError` with
    the full text. When the initializer fails in a worker, its exception is what every result and every later call
    raises. Ctrl-C interrupts the task that a worker runs, and leaves an idle worker alone. A callback that raises is
    reported by `threading.excepthook`, and the pool goes on.

    `apply`, `map` and `starmap` block until the results are there, `join` until the workers have ended; all others
    return at once. Leaving the pool as a context manager terminates it.

    Args:
        processes: How many workers; None for one for each CPU.
        initializer: Each worker calls it with `initargs` before its first task.
        maxtasksperchild: After how many tasks a worker is replaced; None for never.
        context: The context that starts the workers; None for that of the default start method.

    Raises:
        TypeError: `initializer` cannot be called.
        ValueError: `processes` or `maxtasksperchild` is below one.

    Differs: lambdas, closures and what was typed at a prompt may be tasks and results.
    """

    def __init__(
        self,
        processes: int | None = None,
        initializer: Callable[..., object] | None = None,
        initargs: Iterable[Any] = (),
        maxtasksperchild: int | None = None,
        context: Any = None,
    ) -> None:
        context = context or contexts.default_context.get_context()
        # By name: in a ThreadPool the next class's takes other arguments.
        multiprocessing.pool.Pool.__init__(self, processes, initializer, initargs, maxtasksperchild, context)

    @staticmethod
    def Process(ctx: Any, *args: Any, **kwds: Any) -> Any:
        """Makes a worker's process; does not start it."""
        return ctx.Process(*args, **_with_our_worker(kwds))

    def _setup_queues(self) -> None:
        super()._setup_queues()  # type: ignore[misc]  # typeshed leaves it out
        self._initializing = _Initializing()
        self._quick_put = partial(_put_task, self._inqueue._writer.send, Sealer())  # type: ignore[attr-defined]
        self._quick_get = partial(_get_result, self._outqueue._reader.recv, self._initializing)  # type: ignore[attr-defined]

    def _check_running(self) -> None:
        super()._check_running()  # type: ignore[misc]  # typeshed leaves it out
        self._initializing.check()

    def __enter__(self) -> Self:
        # Not with the initializer's failure: nobody would terminate the pool then.
        super()._check_running()  # type: ignore[misc]  # typeshed leaves it out
        return self

    def apply_async(
        self,
        func: Callable[..., Any],
        args: Iterable[Any] = (),
        kwds: Mapping[str, Any] = {},
        callback: Callable[[Any], object] | None = None,
        error_callback: Callable[[BaseException], object] | None = None,
    ) -> AsyncResult[Any]:
        """Hands out one task and returns its result-to-be.

        Args:
            callback: Called with the value, in a thread that also receives the other results: it should be quick.
            error_callback: The same with the exception.
        """
        return super().apply_async(func, args, kwds, _reporting(callback), _reporting(error_callback))

    def map_async(
        self,
        func: Callable[[Any], Any],
        iterable: Iterable[Any],
        chunksize: int | None = None,
        callback: Callable[[Any], object] | None = None,
        error_callback: Callable[[BaseException], object] | None = None,
    ) -> MapResult[Any]:
        """Hands out a task for each item and returns the list-to-be of their values. See `apply_async`."""
        return super().map_async(func, iterable, chunksize, _reporting(callback), _reporting(error_callback))

    def starmap_async(
        self,
        func: Callable[..., Any],
        iterable: Iterable[Iterable[Any]],
        chunksize: int | None = None,
        callback: Callable[[Any], object] | None = None,
        error_callback: Callable[[BaseException], object] | None = None,
    ) -> AsyncResult[Any]:
        """As `map_async`, with items that are a call's arguments."""
        return super().starmap_async(func, iterable, chunksize, _reporting(callback), _reporting(error_callback))


class ThreadPool(Pool, multiprocessing.pool.ThreadPool):
    """Worker threads that run tasks. Has the methods of `Pool`, and delivers as many outcomes.

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
        super().__init__(processes, initializer, initargs)

    @staticmethod
    def Process(ctx: Any, *args: Any, **kwds: Any) -> Any:
        """Makes a worker's thread; does not start it."""
        return multiprocessing.pool.ThreadPool.Process(ctx, *args, **_with_our_worker(kwds))

    def _setup_queues(self) -> None:
        multiprocessing.pool.ThreadPool._setup_queues(self)  # type: ignore[attr-defined]
        self._initializing = _Initializing()
        self._quick_get = partial(_get_plain_result, self._outqueue.get, self._initializing)  # type: ignore[attr-defined]


class _Initializing:
    """How the initializers of a pool's workers went. Apart from the pool, whose threads must not keep it alive."""

    def __init__(self) -> None:
        self._failure: Callable[[], BaseException] | None = None

    def fail(self, failure: Callable[[], BaseException]) -> None:
        """Notes a failure, given as what makes its exception: one that is raised twice shows the traces of both."""
        self._failure = self._failure or failure

    def check(self) -> None:
        """Raises the first failure."""
        if self._failure is not None:
            raise self._failure()


def _put_task(send: Callable[[Any], None], sealer: Sealer, task: Any) -> None:
    if task is not None:
        job, index, *call = task
        task = job, index, sealer.seal(call)
    send(task)


def _get_result(receive: Callable[[], Any], initializing: _Initializing) -> Any:
    """Returns a job, its index there, and whether it went well with what came of it; or None at the end."""
    while True:
        message = receive()
        if message is None:
            return None
        job, index, outcome, content = message
        if job is not None:
            return job, index, _open(outcome, content)
        initializing.fail(partial(unpack, content))


def _open(outcome: int, content: Any) -> tuple[bool, Any]:
    if outcome == _VALUE:
        return True, content
    if outcome == _FAILURE:
        return False, unpack(content)
    try:
        return True, unseal(content)
    except (Exception, SystemExit) as error:
        error.add_note("while unpickling the result of a pool's task")
        return False, error


def _get_plain_result(receive: Callable[[], Any], initializing: _Initializing) -> Any:
    """The same between threads."""
    while True:
        message = receive()
        if message is None or message[0] is not None:
            return message
        _, _, (_, error) = message
        initializing.fail(partial(_same, error))


def _same(error: BaseException) -> BaseException:
    return error


def _reporting(callback: Callable[[Any], object] | None) -> Callable[[Any], object] | None:
    return None if callback is None else partial(_call_back, callback)


def _call_back(callback: Callable[[Any], object], outcome: Any) -> None:
    """Runs a user's callback in the thread that receives results, which has to outlive it."""
    try:
        callback(outcome)
    except Exception as error:
        details = (type(error), error, error.__traceback__, threading.current_thread())
        threading.excepthook(threading.ExceptHookArgs(details))


def _with_our_worker(kwds: dict[str, Any]) -> dict[str, Any]:
    return {**kwds, "target": worker} if kwds.get("target") is _standard.worker else kwds


def worker(
    inqueue: Any,
    outqueue: Any,
    initializer: Callable[..., object] | None = None,
    initargs: Iterable[Any] = (),
    maxtasks: int | None = None,
    wrap_exception: bool = False,
) -> None:
    """What a pool's worker runs: takes tasks until there are no more.

    Blocks while there is none. A worker whose initializer failed answers each task with that failure: were it to end,
    the pool would only start the next.

    Args:
        inqueue: Where tasks come from.
        outqueue: Where results go.
        maxtasks: After how many tasks to end; None for no limit.
        wrap_exception: True in a process: messages are sealed, and exceptions take their tracebacks along.
    """
    if maxtasks is not None and not (isinstance(maxtasks, int) and maxtasks >= 1):
        raise AssertionError(f"Maxtasks {maxtasks!r} is not valid")
    if hasattr(inqueue, "_writer"):
        inqueue._writer.close()
        outqueue._reader.close()
    run = _SealedTasks(outqueue.put) if wrap_exception else _PlainTasks(outqueue.put)
    if initializer is not None:
        run.initialize(initializer, initargs)
    completed = 0
    while maxtasks is None or completed < maxtasks:
        try:
            task = inqueue.get()
        except (EOFError, OSError):
            return
        if task is None:
            return
        run.task(task)
        del task
        completed += 1


class _PlainTasks:
    """Runs the tasks of a thread."""

    def __init__(self, put: Callable[[Any], None]) -> None:
        self._put = put
        self._failure: BaseException | None = None

    def initialize(self, initializer: Callable[..., object], initargs: Iterable[Any]) -> None:
        """Calls the initializer; its failure is told, and is the result of every task."""
        try:
            self._call(initializer, initargs, {})
        except BaseException as error:
            error.add_note("raised by the initializer of a pool's worker")
            self._failure = error
            self._fail(None, None, error)

    def task(self, task: Any) -> None:
        """Runs a task and puts its result."""
        job, index, *content = task
        if self._failure is not None:
            self._fail(job, index, self._failure)
            return
        try:
            func, args, kwds = self._open(content)
        except BaseException as error:
            self._fail(job, index, error)
            return
        try:
            value = self._call(func, args, kwds)
        except BaseException as error:
            # What re-raises an error of the caller's own iterable adds nothing to it.
            self._fail(job, index, error, with_traceback=func is not _standard._helper_reraises_exception)
        else:
            self._succeed(job, index, value)

    def _call(self, func: Callable[..., Any], args: Iterable[Any], kwds: Mapping[str, Any]) -> Any:
        return func(*args, **kwds)

    def _open(self, content: list[Any]) -> Any:
        return content

    def _succeed(self, job: int, index: int, value: Any) -> None:
        self._put((job, index, (True, value)))

    def _fail(self, job: int | None, index: int | None, error: BaseException, with_traceback: bool = True) -> None:
        self._put((job, index, (False, error)))


class _SealedTasks(_PlainTasks):
    """Runs the tasks of a process. Ctrl-C reaches a running task only: while the worker is idle the parent decides."""

    def __init__(self, put: Callable[[Any], None]) -> None:
        super().__init__(put)
        self._sealer = Sealer()
        self._is_interruptible = False
        is_main = threading.current_thread() is threading.main_thread()
        if is_main and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
            signal.signal(signal.SIGINT, self._interrupt)

    def _interrupt(self, number: int, frame: object) -> None:
        if self._is_interruptible:
            raise KeyboardInterrupt

    def _call(self, func: Callable[..., Any], args: Iterable[Any], kwds: Mapping[str, Any]) -> Any:
        try:
            self._is_interruptible = True
            return func(*args, **kwds)
        finally:
            self._is_interruptible = False

    def _open(self, content: list[Any]) -> Any:
        try:
            return unseal(content[0])
        except Exception as error:
            error.add_note("while unpickling the task in a pool's worker")
            raise

    def _succeed(self, job: int, index: int, value: Any) -> None:
        if is_safe(value):
            self._put((job, index, _VALUE, value))
            return
        try:
            content = self._sealer.seal(value)
        except Exception as error:
            self._fail(job, index, _unsendable(error, value), with_traceback=False)
        else:
            self._put((job, index, _SEALED, content))

    def _fail(self, job: int | None, index: int | None, error: BaseException, with_traceback: bool = True) -> None:
        self._put((job, index, _FAILURE, pack(error, with_traceback)))


def _unsendable(error: Exception, value: Any) -> Exception:
    try:
        unsendable: Exception = MaybeEncodingError(error, value)
    except Exception:  # of the value's own __repr__
        unsendable = MaybeEncodingError(error, f"a {type(value).__qualname__} without a repr()")
    return unsendable


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
