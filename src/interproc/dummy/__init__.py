"""The same names on threads: the standard library's own implementation, but for `Pool`."""

from __future__ import annotations

import multiprocessing.dummy
from multiprocessing.dummy import (
    Array,
    Barrier,
    BoundedSemaphore,
    Condition,
    DummyProcess,
    Event,
    JoinableQueue,
    Lock,
    Manager,
    Namespace,
    Pipe,
    Process,
    Queue,
    RLock,
    Semaphore,
    Value,
    active_children,
    current_process,
    freeze_support,
    shutdown,
)
from typing import TYPE_CHECKING, Any

import interproc.dummy.connection as connection

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from interproc.pool import ThreadPool


def Pool(
    processes: int | None = None, initializer: Callable[..., object] | None = None, initargs: Iterable[Any] = ()
) -> ThreadPool:
    """Makes a pool of worker threads: see `interproc.pool.ThreadPool`."""
    from interproc.pool import ThreadPool

    return ThreadPool(processes, initializer, initargs)


_standard: Any = multiprocessing.dummy  # typeshed leaves these out
dict = _standard.dict
list = _standard.list

__all__ = [
    "Array",
    "Barrier",
    "BoundedSemaphore",
    "Condition",
    "DummyProcess",
    "Event",
    "JoinableQueue",
    "Lock",
    "Manager",
    "Namespace",
    "Pipe",
    "Pool",
    "Process",
    "Queue",
    "RLock",
    "Semaphore",
    "Value",
    "active_children",
    "connection",
    "current_process",
    "dict",
    "freeze_support",
    "list",
    "shutdown",
]
