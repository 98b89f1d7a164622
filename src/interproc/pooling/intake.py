"""What calls of a pool's methods become: jobs, with where their tasks come from, on their way to the engine."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Mapping, Sized
from typing import Any

from interproc.pooling.engine import Engine
from interproc.pooling.feeding import FromIterable
from interproc.pooling.messages import CALL
from interproc.pooling.tasks import (
    Allowance,
    FromSequence,
    Job,
    OneTask,
    Packer,
    Result,
    Source,
    is_at_hand,
    mapper_for,
)
from interproc.sealing import seal


class Options:
    """What a caller may say of the tasks of a call.

    Args:
        timeout: How many seconds a task may run; None for no limit.
        retries: How many more times a task is tried after its worker died.

    Raises:
        ValueError: One of them is out of range.
    """

    def __init__(self, timeout: float | None = None, retries: int = 0) -> None:
        if timeout is not None and timeout <= 0:
            raise ValueError(f"timeout must be above 0 seconds, not {timeout!r}")
        if retries < 0:
            raise ValueError(f"retries must be 0 or more, not {retries!r}")
        self.timeout = timeout
        self.timeout_ns = None if timeout is None else int(timeout * 1e9)
        self.retries = retries
        self.wants_single_tasks = timeout is not None or retries > 0


class Intake:
    """Takes calls. For any thread.

    Args:
        engine: Works on them.
        seals: Whether functions and arguments are pickled; False between threads.
    """

    def __init__(self, engine: Engine, seals: bool) -> None:
        self._engine = engine
        self._seals = seals
        self._packer = Packer(seals)

    def call(
        self,
        result: Result,
        function: Callable[..., Any],
        args: Iterable[Any],
        kwds: Mapping[str, Any],
        options: Options,
    ) -> Job | None:
        """Takes one call; what cannot be sent is its outcome at once, and there is no job."""
        self._check(options)
        job = Job(result, _name_of(function), CALL, None, options.timeout_ns, options.retries)
        try:
            task = self._packer.pack(job, 0, (function, tuple(args), dict(kwds)))
        except Exception as error:
            result.deliver(0, False, error)
            return None
        return self._submit(OneTask(job, task))

    def each(
        self,
        result: Result,
        function: Callable[..., Any],
        items: Iterable[Any],
        chunksize: int,
        is_starred: bool,
        options: Options,
        allowance: Allowance | None = None,
    ) -> Job | None:
        """Takes a call for each of many items. A function that cannot be sent is its outcome at once.

        Args:
            chunksize: How many items make a task; 0 for one that is not in a chunk.
            is_starred: Whether an item is a call's arguments.
            allowance: How far the items may be read; None for no limit.
        """
        self._check(options)
        mapper = mapper_for(is_starred, chunksize > 0)
        try:
            definition = mapper, seal(function) if self._seals else function
        except Exception as error:
            result.give_up(error)
            return None
        job = Job(result, _name_of(function), mapper, definition, options.timeout_ns, options.retries)
        if allowance is not None:
            allowance.announce = lambda: self._engine.post(_look_up)
        source: Source
        if isinstance(items, (list, tuple, range, str, bytes)) and is_at_hand(items):
            source = FromSequence(job, items, chunksize, self._packer, allowance)
        else:
            source = FromIterable(job, items, chunksize, self._packer, allowance)
        return self._submit(source)

    def _check(self, options: Options) -> None:
        if options.timeout is not None and not self._seals:
            raise ValueError(f"timeout={options.timeout!r}: a thread cannot be stopped; use a pool of processes")

    def _submit(self, source: Source) -> Job:
        self._engine.submit(source)
        return source.job


def default_size() -> int:
    """Returns how many workers a pool has unless told otherwise: one for each CPU."""
    count: int | None = getattr(os, "process_cpu_count", os.cpu_count)()
    return count or 1


def sized(iterable: Iterable[Any]) -> Any:
    """Returns something with a length that is gone over later: what may change meanwhile, or has none, as a list."""
    if isinstance(iterable, (tuple, range, str, bytes)):
        return iterable
    return list(iterable) if is_at_hand(iterable) or not isinstance(iterable, Sized) else iterable


def _look_up() -> None:
    """What is posted so that the supervising thread looks for more to do."""


def _name_of(function: Any) -> str:
    module, name = getattr(function, "__module__", None), getattr(function, "__qualname__", None)
    return f"{module}.{name}" if module and name else type(function).__qualname__
