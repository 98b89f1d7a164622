"""Contexts: a start method, and the factories that go with it.

They are subclasses of multiprocessing's, so libraries take them where they take those. What interproc does not make
itself comes from the standard library's implementation, with this context.
"""

from __future__ import annotations

import multiprocessing
import multiprocessing.context
from multiprocessing.context import (
    AuthenticationError,
    BaseContext,
    BufferTooShort,
    ProcessError,
    TimeoutError,
    assert_spawning,
    get_spawning_popen,
    set_spawning_popen,
)

from interproc.process import BaseProcess

TYPE_CHECKING = False  # without importing typing: see ARCHITECTURE.md on import time
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any, ClassVar, Literal, SupportsIndex, TypeVar, overload

    from interproc._core import LentBuffer
    from interproc.connection import Connection
    from interproc.lent_arrays import Lender
    from interproc.managers import SyncManager
    from interproc.pool import Pool
    from interproc.queues import JoinableQueue, Queue, SharedQueue, SimpleQueue
    from interproc.snapshots import Snapshot
    from interproc.synchronize import Barrier, BoundedSemaphore, Condition, Event, Lock, OnAbandoned, RLock, Semaphore

    T = TypeVar("T")


class Process(BaseProcess, multiprocessing.context.Process):
    """A process started by the default method."""


class ForkProcess(BaseProcess, multiprocessing.context.ForkProcess):
    """A process that begins as a copy of its parent."""


class SpawnProcess(BaseProcess, multiprocessing.context.SpawnProcess):
    """A process that begins in a fresh interpreter."""


class ForkServerProcess(BaseProcess, multiprocessing.context.ForkServerProcess):
    """A process that begins as a copy of a server process, which has run none of the program."""


class SharedMemoryContext(BaseContext):
    """What all contexts here have in common: queues, pipes, locks and values in shared memory.

    The modules behind them are imported when they are first asked for, as in multiprocessing.
    """

    Process: ClassVar[type[BaseProcess]]

    def Pipe(self, duplex: bool = True) -> tuple[Connection, Connection]:  # type: ignore[override]
        """Makes the two ends of a pipe: see `interproc.connection.Pipe`."""
        from interproc.connection import Pipe

        return Pipe(duplex)

    def Queue(  # type: ignore[override]
        self,
        maxsize: int = 0,
        *,
        max_bytes: int = 0,
        warm_bytes: int = 32 << 20,
        redeliver: bool = False,
        max_deliveries: int = 0,
        dead_letters: SharedQueue[Any] | None = None,
    ) -> Queue[Any]:
        """Makes a queue: see `interproc.queues.Queue`."""
        from interproc import queues

        return queues.Queue(
            maxsize,
            ctx=self,
            max_bytes=max_bytes,
            warm_bytes=warm_bytes,
            redeliver=redeliver,
            max_deliveries=max_deliveries,
            dead_letters=dead_letters,
        )

    def buffer(self, nbytes: SupportsIndex, lender: Lender) -> LentBuffer:
        """Makes a buffer to be filled in place and then put, or sent, without a copy.

        The same as `lender.empty_buffer(nbytes)`. Memory that belongs to no queue could not go into one without a copy,
        and a handle to it would die with its sender; so the buffer is lent by what it will be put into.

        Args:
            nbytes: Its length.
            lender: The queue or the connection.

        Raises:
            ValueError: `nbytes` is negative, or the queue is closed.
            OSError, MemoryError: There is no memory; OSError also for a connection that is closed or only receives.
        """
        return lender.empty_buffer(nbytes)

    def JoinableQueue(  # type: ignore[override]
        self,
        maxsize: int = 0,
        *,
        max_bytes: int = 0,
        warm_bytes: int = 32 << 20,
        redeliver: bool = False,
        max_deliveries: int = 0,
        dead_letters: SharedQueue[Any] | None = None,
    ) -> JoinableQueue[Any]:
        """Makes a queue whose producers can wait for it: see `interproc.queues.JoinableQueue`."""
        from interproc import queues

        return queues.JoinableQueue(
            maxsize,
            ctx=self,
            max_bytes=max_bytes,
            warm_bytes=warm_bytes,
            redeliver=redeliver,
            max_deliveries=max_deliveries,
            dead_letters=dead_letters,
        )

    def SimpleQueue(self, *, max_bytes: int = 0, warm_bytes: int = 32 << 20) -> SimpleQueue[Any]:  # type: ignore[override]
        """Makes a queue without a limit: see `interproc.queues.SimpleQueue`."""
        from interproc import queues

        return queues.SimpleQueue(ctx=self, max_bytes=max_bytes, warm_bytes=warm_bytes)

    def Lock(self, *, on_abandoned: OnAbandoned = "warn") -> Lock:  # type: ignore[override]
        """Makes a lock: see `interproc.synchronize.Lock`."""
        from interproc import synchronize

        return synchronize.Lock(ctx=self, on_abandoned=on_abandoned)

    def RLock(self, *, on_abandoned: OnAbandoned = "warn") -> RLock:  # type: ignore[override]
        """Makes a lock that its holder may take again: see `interproc.synchronize.RLock`."""
        from interproc import synchronize

        return synchronize.RLock(ctx=self, on_abandoned=on_abandoned)

    def Condition(self, lock: Any = None) -> Condition:  # type: ignore[override]
        """Makes a condition: see `interproc.synchronize.Condition`."""
        from interproc import synchronize

        return synchronize.Condition(lock, ctx=self)

    def Semaphore(self, value: int = 1) -> Semaphore:  # type: ignore[override]
        """Makes a semaphore: see `interproc.synchronize.Semaphore`."""
        from interproc import synchronize

        return synchronize.Semaphore(value, ctx=self)

    def BoundedSemaphore(self, value: int = 1) -> BoundedSemaphore:  # type: ignore[override]
        """Makes a semaphore with an upper bound: see `interproc.synchronize.BoundedSemaphore`."""
        from interproc import synchronize

        return synchronize.BoundedSemaphore(value, ctx=self)

    def Event(self) -> Event:  # type: ignore[override]
        """Makes an event: see `interproc.synchronize.Event`."""
        from interproc import synchronize

        return synchronize.Event(ctx=self)

    def Barrier(  # type: ignore[override]
        self, parties: int, action: Callable[[], object] | None = None, timeout: float | None = None
    ) -> Barrier:
        """Makes a barrier: see `interproc.synchronize.Barrier`."""
        from interproc import synchronize

        return synchronize.Barrier(parties, action, timeout, ctx=self)

    def RawValue(self, typecode_or_type: Any, *args: Any) -> Any:
        """Makes a ctypes object in shared memory: see `interproc.sharedctypes.RawValue`."""
        from interproc import sharedctypes

        return sharedctypes.RawValue(typecode_or_type, *args)

    def RawArray(self, typecode_or_type: Any, size_or_initializer: Any) -> Any:
        """Makes a ctypes array in shared memory: see `interproc.sharedctypes.RawArray`."""
        from interproc import sharedctypes

        return sharedctypes.RawArray(typecode_or_type, size_or_initializer)

    def Value(self, typecode_or_type: Any, *args: Any, lock: Any = True) -> Any:
        """Makes a ctypes object in shared memory with a lock: see `interproc.sharedctypes.Value`."""
        from interproc import sharedctypes

        return sharedctypes.Value(typecode_or_type, *args, lock=lock, ctx=self)

    def Array(self, typecode_or_type: Any, size_or_initializer: Any, *, lock: Any = True) -> Any:
        """Makes a ctypes array in shared memory with a lock: see `interproc.sharedctypes.Array`."""
        from interproc import sharedctypes

        return sharedctypes.Array(typecode_or_type, size_or_initializer, lock=lock, ctx=self)

    def share(self, obj: T) -> Snapshot[T]:
        """Copies an object into shared memory, once, for any number of readers: see `interproc.snapshots.share`."""
        from interproc import snapshots

        return snapshots.share(obj)

    def Pool(
        self,
        processes: int | None = None,
        initializer: Callable[..., object] | None = None,
        initargs: Iterable[Any] = (),
        maxtasksperchild: int | None = None,
    ) -> Pool:
        """Makes a pool of worker processes: see `interproc.pool.Pool`."""
        from interproc import pool

        return pool.Pool(processes, initializer, initargs, maxtasksperchild, self.get_context())

    def Manager(self) -> SyncManager:
        """Starts a process that holds objects for others: see `interproc.managers.SyncManager`."""
        from interproc import managers

        manager = managers.SyncManager(ctx=self.get_context())
        manager.start()
        return manager

    def freeze_support(self) -> None:
        """Runs the child, and then exits, where a frozen program was started as one; otherwise does nothing.

        A program that is to be frozen into an executable calls it first thing in `if __name__ == "__main__":`.

        Differs: multiprocessing's does nothing outside of Windows, where frozen programs spawn as well.
        """
        import sys

        if getattr(sys, "frozen", False):
            from interproc import spawn

            spawn.freeze_support()

    if TYPE_CHECKING:

        @overload  # type: ignore[override]
        def get_context(self, method: Literal["fork"]) -> ForkContext: ...
        @overload
        def get_context(self, method: Literal["spawn"]) -> SpawnContext: ...
        @overload
        def get_context(self, method: Literal["forkserver"]) -> ForkServerContext: ...
        @overload
        def get_context(self, method: None = None) -> SharedMemoryContext: ...
        @overload
        def get_context(self, method: str | None) -> SharedMemoryContext: ...

    def get_context(  # pyright: ignore[reportIncompatibleMethodOverride]
        self, method: str | None = None
    ) -> SharedMemoryContext:
        """Returns the context of a start method; without one, this context.

        Raises:
            ValueError: There is no such method here.
        """
        if method is None:
            return self
        if method not in _contexts:
            raise ValueError(f"cannot find context for {method!r}; there are {', '.join(_contexts)}")
        if method != "fork":
            from interproc.state import state

            state.main_is_foreign = True
        return _contexts[method]


class ForkContext(SharedMemoryContext):
    """Children begin as copies of their parent."""

    _name = "fork"
    Process = ForkProcess


class SpawnContext(SharedMemoryContext):
    """Children begin in fresh interpreters."""

    _name = "spawn"
    Process = SpawnProcess


class ForkServerContext(SharedMemoryContext):
    """Children begin as copies of a server process, which has run none of the program."""

    _name = "forkserver"
    Process = ForkServerProcess


class DefaultContext(SharedMemoryContext):
    """The context of the default start method, which a process has one of and shares with multiprocessing.

    So a program that sets the method here has set it for libraries that use multiprocessing, and the other way round;
    without a choice it is the default of the running Python.
    """

    Process = Process

    if TYPE_CHECKING:

        @overload  # type: ignore[override]
        def get_context(self, method: Literal["fork"]) -> ForkContext: ...
        @overload
        def get_context(self, method: Literal["spawn"]) -> SpawnContext: ...
        @overload
        def get_context(self, method: Literal["forkserver"]) -> ForkServerContext: ...
        @overload
        def get_context(self, method: None = None) -> SharedMemoryContext: ...
        @overload
        def get_context(self, method: str | None) -> SharedMemoryContext: ...

    def get_context(self, method: str | None = None) -> SharedMemoryContext:
        """Returns the context of a start method; without one, that of the default, which stays the default then.

        Raises:
            ValueError: There is no such method here.
        """
        return super().get_context(method or multiprocessing.get_start_method())

    def get_start_method(self, allow_none: bool = False) -> str | None:  # type: ignore[override]
        """Returns the name of the default method.

        Args:
            allow_none: Return None where none was chosen yet, instead of choosing Python's default for good.
        """
        return multiprocessing.get_start_method(allow_none)

    def set_start_method(self, method: str | None, force: bool = False) -> None:
        """Chooses the default method, once unless forced. None with `force` takes the choice back.

        Raises:
            RuntimeError: It was chosen already.
            ValueError: There is no such method here.
        """
        if method is not None:
            self.get_context(method)
        multiprocessing.set_start_method(method, force)

    def get_all_start_methods(self) -> list[str]:
        """Returns the names of all methods, Python's default first."""
        return multiprocessing.get_all_start_methods()


_contexts: dict[str, SharedMemoryContext] = {
    "fork": ForkContext(),
    "spawn": SpawnContext(),
    "forkserver": ForkServerContext(),
}
default_context = DefaultContext()

__all__ = [
    "AuthenticationError",
    "BaseContext",
    "BufferTooShort",
    "DefaultContext",
    "ForkContext",
    "ForkProcess",
    "ForkServerContext",
    "ForkServerProcess",
    "Process",
    "ProcessError",
    "SpawnContext",
    "SpawnProcess",
    "TimeoutError",
    "assert_spawning",
    "default_context",
    "get_spawning_popen",
    "set_spawning_popen",
]
