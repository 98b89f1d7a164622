"""Locks, semaphores, conditions, events and barriers, in shared memory.

Each is a few bytes of a page that its maker shares: no descriptor and no name of its own. The fast paths run in the
caller; only who has to wait enters the kernel. Nobody who is killed hangs the others: a lock knows its owner, a
notifier waits for nobody, a barrier breaks. Everything here may be pickled at any time, to any process of the same
user.
"""

from __future__ import annotations

import atexit
import threading
import warnings
from collections.abc import Callable
from multiprocessing import util

import interproc.handles  # noqa: F401  # tells pickle about segments
from interproc import _core
from interproc.deadlines import deadline_after, seconds_until
from interproc.errors import AbandonedError, AbandonedWarning
from interproc.process import current_process
from interproc.state import state

TYPE_CHECKING = False  # without importing typing: see ARCHITECTURE.md on import time
if TYPE_CHECKING:
    from typing import Any, Literal

    OnAbandoned = Literal["warn", "raise"]

RECURSIVE_MUTEX, SEMAPHORE = range(2)
SEM_VALUE_MAX = _core.SemLock.SEM_VALUE_MAX


class SemLock(_core.SemLock):
    """What locks and semaphores have in common; made by the classes below.

    Args:
        kind: RECURSIVE_MUTEX or SEMAPHORE.
        value: How often it can be taken now.
        maxvalue: The most that `value` can become.
        ctx: Accepted as in multiprocessing; locks of all contexts are the same.
        on_abandoned: What `acquire` does when the process that held it was killed: "warn" takes it, sets `abandoned`
            and issues an AbandonedWarning; "raise" leaves it and raises AbandonedError, until somebody calls `recover`.
        tracks_holders: Whether what a killed process has taken comes back.

    Raises:
        ValueError: `value` or `maxvalue` is out of range, or `on_abandoned` is neither.
        OSError: Out of memory or descriptors.
    """

    def __init__(
        self,
        kind: int,
        value: int,
        maxvalue: int,
        *,
        ctx: object = None,
        on_abandoned: OnAbandoned = "warn",
        tracks_holders: bool = False,
    ) -> None:
        if on_abandoned not in ("warn", "raise"):
            raise ValueError(f"on_abandoned must be 'warn' or 'raise', not {on_abandoned!r}")
        super().__init__(kind, value, maxvalue, on_abandoned == "raise", tracks_holders)

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickles a handle, at any time, for any process of the same user; keep this object until it has arrived."""
        return _rebuild, (type(self), *self._reference()), vars(self) or None

    @property
    def _semlock(self) -> SemLock:
        return self  # for code that looks inside multiprocessing's locks

    def _owner_name(self) -> str:
        if self._is_mine():
            name = current_process().name
            thread = threading.current_thread().name
            return name if thread == "MainThread" else f"{name}|{thread}"
        if not self.locked():
            return "None"
        return "SomeOtherThread" if self._is_held_here() else "SomeOtherProcess"

    def _on_abandoned(self, pid: int, raises: bool) -> None:
        text = f"process {pid} was killed while it held this {type(self).__name__}"
        if raises:
            raise AbandonedError(f"{text}: check what it guards, then take it with recover()", pid)
        warnings.warn(f"{text}; what it guards may be half changed", AbandonedWarning, stacklevel=2)

    def recover(self) -> None:
        """Takes a lock that a killed process left behind, and clears its mark; blocks while another holds it.

        Repair what the lock guards, then `release` it. A lock that was not abandoned is taken as by `acquire`.
        """
        self._recover()


class Lock(SemLock):
    """A lock that one thread of one process holds at a time, and that any may release.

    When its holder is killed, the next `acquire` gets it; see `on_abandoned`. A holder that ends in an orderly way
    without releasing it leaves it locked, as in multiprocessing.

    Args:
        ctx: Accepted as in multiprocessing; locks of all contexts are the same.
        on_abandoned: See `SemLock`.
    """

    def __init__(self, *, ctx: object = None, on_abandoned: OnAbandoned = "warn") -> None:
        super().__init__(SEMAPHORE, 1, 1, ctx=ctx, on_abandoned=on_abandoned)

    def __repr__(self) -> str:
        return f"<Lock(owner={self._owner_name()})>"


class RLock(SemLock):
    """A lock that the thread which holds it may take again, and which only it may release, as often.

    When its holder is killed, the next `acquire` gets it; see `on_abandoned`.

    Args:
        ctx: Accepted as in multiprocessing; locks of all contexts are the same.
        on_abandoned: See `SemLock`.
    """

    def __init__(self, *, ctx: object = None, on_abandoned: OnAbandoned = "warn") -> None:
        super().__init__(RECURSIVE_MUTEX, 1, 1, ctx=ctx, on_abandoned=on_abandoned)

    def __repr__(self) -> str:
        count = self._count() or ("nonzero" if self.locked() else 0)
        return f"<RLock({self._owner_name()}, {count})>"


class Semaphore(SemLock):
    """A counter that `acquire` lowers, waiting while it is zero, and `release` raises.

    Args:
        value: The counter's first value.
        ctx: Accepted as in multiprocessing; semaphores of all contexts are the same.

    Raises:
        ValueError: `value` is negative or above SEM_VALUE_MAX.
    """

    def __init__(self, value: int = 1, *, ctx: object = None) -> None:
        super().__init__(SEMAPHORE, value, SEM_VALUE_MAX, ctx=ctx)

    def get_value(self) -> int:
        """Returns the counter."""
        return self._get_value()

    def __repr__(self) -> str:
        return f"<{type(self).__name__}(value={self.get_value()})>"


class BoundedSemaphore(Semaphore):
    """A Semaphore that cannot rise above its first value, and that gets back what a killed process had taken.

    Args:
        value: The counter's first and highest value.
        ctx: Accepted as in multiprocessing; semaphores of all contexts are the same.

    Raises:
        ValueError: `value` is negative or above SEM_VALUE_MAX.
    """

    def __init__(self, value: int = 1, *, ctx: object = None) -> None:
        SemLock.__init__(self, SEMAPHORE, value, value, ctx=ctx, tracks_holders=True)

    def __repr__(self) -> str:
        return f"<BoundedSemaphore(value={self.get_value()}, maxvalue={self.maxvalue})>"


class Condition(_core.ConditionBase):
    """Lets processes wait, without the lock, until another says that something changed.

    Notifying reaches exactly the waiters that it counts, the longest waiting first, and waits for none of them; killed
    waiters are passed over.

    Args:
        lock: The lock to use, by default a new RLock. One of multiprocessing's does as well.
        ctx: Accepted as in multiprocessing; conditions of all contexts are the same.

    Raises:
        TypeError: `lock` is no lock of interproc or multiprocessing.
    """

    def __init__(self, lock: Any = None, *, ctx: object = None) -> None:
        if lock is None:
            lock = RLock(ctx=ctx)
        if not hasattr(lock, "_semlock"):
            raise TypeError(f"lock must be a lock of interproc or multiprocessing, not {lock!r}")
        super().__init__(lock._semlock)
        self._use(lock)

    def _use(self, lock: Any) -> None:
        self._lock = lock
        self.acquire = lock.acquire
        self.release = lock.release

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickles a handle, at any time, for any process of the same user; keep this object until it has arrived."""
        return _rebuild_condition, (type(self), self._lock, *self._reference())

    def __enter__(self) -> bool:
        return self._lock.__enter__()  # type: ignore[no-any-return]

    def __exit__(self, *error: Any) -> None:
        self._lock.__exit__(*error)

    def __repr__(self) -> str:
        return f"<{type(self).__name__}({self._lock}, {'awaited' if self._has_waiters() else 'not awaited'})>"

    def wait(self, timeout: float | None = None) -> bool:
        """Gives the lock away, sleeps until notified, and takes the lock again.

        Args:
            timeout: Seconds to sleep at most; None for ever. Taking the lock again may take longer.

        Returns:
            Whether it was notified.

        Raises:
            AssertionError: This thread does not hold the lock.
        """
        if not self._lock._semlock._is_mine():
            raise AssertionError("must acquire() condition before using wait()")
        waiter = self._enter()
        depth = self._lock._semlock._count()
        for _ in range(depth):
            self._lock.release()
        try:
            self._sleep(waiter, timeout)
        except BaseException:
            self._retake(depth)
            if self._leave(waiter):
                self.notify()  # it was meant for somebody who can use it
            raise
        self._retake(depth)
        return self._leave(waiter)

    def _retake(self, depth: int) -> None:
        for _ in range(depth):
            self._lock.acquire()

    def wait_for(self, predicate: Callable[[], Any], timeout: float | None = None) -> Any:
        """Waits until a predicate holds; it is called with the lock held.

        Args:
            predicate: Called before the first wait and after each.
            timeout: Seconds to wait at most; None for ever.

        Returns:
            What the predicate returned last.

        Raises:
            AssertionError: This thread does not hold the lock.
        """
        deadline_ns = deadline_after(timeout)
        result = predicate()
        while not result:
            left = seconds_until(deadline_ns)
            if left == 0:
                break
            self.wait(left)
            result = predicate()
        return result


class Event(_core.EventBase):
    """A flag that can be waited for.

    `is_set`, `set` and `clear` take no lock: they may be called in signal handlers, and no killed process can be in
    their way. `wait` returns True also if the flag was set and cleared again while it slept.

    Args:
        ctx: Accepted as in multiprocessing; events of all contexts are the same.
    """

    def __init__(self, *, ctx: object = None) -> None:
        super().__init__()

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickles a handle, at any time, for any process of the same user; keep this object until it has arrived."""
        return _rebuild, (type(self), *self._reference())

    def __repr__(self) -> str:
        return f"<{type(self).__qualname__} at {id(self):#x} {'set' if self.is_set() else 'unset'}>"


class Barrier(_core.BarrierBase, threading.Barrier):
    """Lets a number of parties wait for one another.

    A party that is killed while it waits, or between two rounds, breaks the barrier: the others get BrokenBarrierError
    instead of waiting for ever.

    Args:
        parties: How many have to come.
        action: Called by the last one to come, before the others go on. If it raises, the barrier is broken.
        timeout: The default of `wait`.
        ctx: Accepted as in multiprocessing; barriers of all contexts are the same.

    Raises:
        ValueError: `parties` is less than one.
    """

    def __init__(
        self,
        parties: int,
        action: Callable[[], object] | None = None,
        timeout: float | None = None,
        *,
        ctx: object = None,
    ) -> None:
        super().__init__(parties)
        self._action = action
        self._timeout = timeout

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickles a handle, at any time, for any process of the same user; keep this object until it has arrived."""
        return _rebuild, (type(self), *self._reference()), {"_action": self._action, "_timeout": self._timeout}

    def __repr__(self) -> str:
        how = "broken" if self.broken else f"waiters={self.n_waiting}/{self.parties}"
        return f"<{type(self).__module__}.{type(self).__qualname__} at {id(self):#x}: {how}>"

    def wait(self, timeout: float | None = None) -> int:
        """Waits until all parties have come.

        Args:
            timeout: Seconds to wait at most; None for the barrier's own. When it passes, the barrier is broken.

        Returns:
            A number from 0 to parties - 1, another one for each party.

        Raises:
            threading.BrokenBarrierError: The barrier is broken or was reset, or a party was killed.
        """
        index = self._pass(self._action, self._timeout if timeout is None else timeout)
        if index is None:
            raise threading.BrokenBarrierError
        return index


def _rebuild(kind: type[Any], *place: Any) -> Any:
    return kind._attach(*place)


def _rebuild_condition(kind: type[Condition], lock: Any, *place: Any) -> Condition:
    condition = kind.__new__(kind)
    _core.ConditionBase.__init__(condition, lock._semlock, *place)
    condition._use(lock)
    return condition


def _end_in_order(_: object = None) -> None:
    """Lets this process's orderly end be told from a violent one: after it, nobody takes the locks that it holds."""
    util.Finalize(None, _core.leave_all, exitpriority=-1000)  # for multiprocessing's children, which run no atexit


atexit.register(_core.leave_all)
_end_in_order()
util.register_after_fork(state, _end_in_order)

__all__ = [
    "Barrier",
    "BoundedSemaphore",
    "Condition",
    "Event",
    "Lock",
    "RLock",
    "SemLock",
    "Semaphore",
]
