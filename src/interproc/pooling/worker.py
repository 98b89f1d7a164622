"""What a pool's workers run: they take tasks and put what comes of them, one by one, until they are told to leave."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable, Iterable
from functools import partial
from itertools import starmap
from multiprocessing.pool import MaybeEncodingError  # type: ignore[attr-defined]  # typeshed leaves it out
from multiprocessing.process import parent_process
from queue import Empty
from typing import Any

from interproc.outcomes import pack
from interproc.pooling.imports import forget_imports_of_others
from interproc.pooling.messages import (
    CHUNK,
    FAILURE,
    GONE,
    ITEM,
    NO_JOB,
    NO_TASK,
    NOT_INITIALIZED,
    RAISED,
    READY,
    SEALED,
    STARRED,
    STARRED_CHUNK,
    UNKNOWN_JOB,
    VALUE,
)
from interproc.sealing import Sealer, is_safe, unseal

# How many jobs a worker keeps the functions of: those which it had last.
_REMEMBERED_JOBS = 8
# A worker's parent ends with SIGTERM for it, which tasks may catch. So it also looks, at this interval while idle.
_LOOK_SECONDS = 5.0


def serve(
    number: int,
    tasks: Any,
    results: Any,
    initializer: Callable[..., object] | None,
    initargs: Iterable[Any],
    max_tasks: int | None,
) -> None:
    """What a worker's process runs. Blocks while there is no task.

    Args:
        number: The worker's, in its messages.
        tasks: Where tasks come from.
        results: Where results go.
        initializer: Called first; when it fails, the worker says so and ends.
        max_tasks: After how many tasks to end; None for no limit.
    """
    forget_imports_of_others()
    desk = ProcessDesk(number, results.put)
    parent = parent_process()

    def is_wanted() -> bool:
        return parent is None or parent.is_alive()

    desk.work(tasks.get, is_wanted, initializer, initargs, max_tasks)


def serve_in_thread(
    number: int,
    tasks: Any,
    results: Any,
    initializer: Callable[..., object] | None,
    initargs: Iterable[Any],
    max_tasks: int | None,
) -> None:
    """What a worker's thread runs; see `serve`."""
    desk = Desk(number, results.put)
    try:
        desk.work(tasks.get, lambda: True, initializer, initargs, max_tasks)
    finally:
        results.put((number, NO_TASK, GONE, None))


class Desk:
    """Where a worker works: here one that is a thread, so that nothing has to be pickled."""

    def __init__(self, number: int, put: Callable[[Any], object]) -> None:
        self._number = number
        self._put = put
        self._functions: dict[int, Callable[[Any], Any]] = {}

    def work(
        self,
        get: Callable[[bool, float], Any],
        is_wanted: Callable[[], bool],
        initializer: Callable[..., object] | None,
        initargs: Iterable[Any],
        max_tasks: int | None,
    ) -> None:
        """Works on tasks until there are no more."""
        if initializer is not None:
            try:
                self.call(partial(initializer, *initargs))
            except BaseException as error:
                error.add_note("raised by the initializer of a pool's worker")
                self._put((self._number, NO_TASK, NOT_INITIALIZED, self.failure(error)))
                return
        self._put((self._number, NO_TASK, READY, None))
        completed_count = 0
        while max_tasks is None or completed_count < max_tasks:
            try:
                message = get(True, _LOOK_SECONDS)
            except Empty:
                if is_wanted():
                    continue
                return
            if message is None:
                return
            self._put((self._number, message[0], *self._outcome(message)))
            del message
            completed_count += 1

    def _outcome(self, message: Any) -> tuple[int, Any]:
        _, job, definition, is_sealed, content = message
        try:
            function = _call if job == NO_JOB else self._functions.get(job) or self._learn(job, definition)
            if function is None:
                return UNKNOWN_JOB, None
            if is_sealed:
                content = unseal(content)
        except BaseException as error:
            error.add_note("while unpickling the task in a pool's worker")
            return self.FAILED, self.failure(error)
        try:
            value = self.call(partial(function, content))
        except BaseException as error:
            return self.FAILED, self.failure(error)
        return self.success(value)

    def _learn(self, job: int, definition: Any) -> Callable[[Any], Any] | None:
        if definition is None:
            return None
        mapper, function = definition
        function = self.open(function)
        learned: Callable[[Any], Any] = {
            ITEM: function,
            STARRED: partial(_starred, function),
            CHUNK: partial(_chunk, function),
            STARRED_CHUNK: partial(_starred_chunk, function),
        }[mapper]
        self._functions[job] = learned
        if len(self._functions) > _REMEMBERED_JOBS:
            del self._functions[next(iter(self._functions))]
        return learned

    FAILED = RAISED

    def call(self, function: Callable[[], Any]) -> Any:
        """Runs what is the user's."""
        return function()

    def open(self, function: Any) -> Any:
        """Returns the function of a job."""
        return function

    def success(self, value: Any) -> tuple[int, Any]:
        """What a value is told as."""
        return VALUE, value

    def failure(self, error: BaseException) -> Any:
        """What an exception is told as."""
        return error


class ProcessDesk(Desk):
    """A desk in a process. Ctrl-C reaches a running task only: while the worker is idle the parent decides."""

    FAILED = FAILURE

    def __init__(self, number: int, put: Callable[[Any], object]) -> None:
        super().__init__(number, put)
        self._sealer = Sealer()
        self._is_interruptible = False
        is_main = threading.current_thread() is threading.main_thread()
        if is_main and signal.getsignal(signal.SIGINT) is signal.default_int_handler:
            signal.signal(signal.SIGINT, self._interrupt)

    def _interrupt(self, number: int, frame: object) -> None:
        if self._is_interruptible:
            raise KeyboardInterrupt

    def call(self, function: Callable[[], Any]) -> Any:
        """Runs what is the user's, and lets Ctrl-C in."""
        try:
            self._is_interruptible = True
            return function()
        finally:
            self._is_interruptible = False

    def open(self, function: Any) -> Any:
        """Makes the function of a job anew."""
        return unseal(function)

    def success(self, value: Any) -> tuple[int, Any]:
        """What a value is told as: as it is, if that can be made anew for certain."""
        if is_safe(value):
            return VALUE, value
        try:
            return SEALED, self._sealer.seal(value)
        except Exception as error:
            return FAILURE, pack(_unsendable(error, value), False)

    def failure(self, error: BaseException) -> Any:
        """What an exception is told as."""
        return pack(error)


def _call(content: Any) -> Any:
    function, args, kwds = content
    return function(*args, **kwds)


def _starred(function: Callable[..., Any], args: Iterable[Any]) -> Any:
    return function(*args)


def _chunk(function: Callable[[Any], Any], items: Iterable[Any]) -> list[Any]:
    return list(map(function, items))


def _starred_chunk(function: Callable[..., Any], items: Iterable[Iterable[Any]]) -> list[Any]:
    return list(starmap(function, items))


def _unsendable(error: Exception, value: Any) -> Exception:
    try:
        unsendable: Exception = MaybeEncodingError(error, value)
    except Exception:  # of the value's own __repr__
        unsendable = MaybeEncodingError(error, f"a {type(value).__qualname__} without a repr()")
    return unsendable
