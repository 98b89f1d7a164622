"""Queues in shared memory.

The calling thread does all the work: when `put` returns, the message lies in shared memory, survives its producer and
is seen by every process. `put`, `get` and their kin are the native methods of `_core.QueueBase`.
"""

from __future__ import annotations

import operator
from collections.abc import Iterable, Iterator

import interproc.codec  # tells the native codec about Python
import interproc.handles  # noqa: F401  # tells pickle about segments
from interproc import _core
from interproc.errors import Empty, Full, NoConsumer, QueueClosed, ShutDown

TYPE_CHECKING = False  # without importing typing: see ARCHITECTURE.md on import time
if TYPE_CHECKING:
    from typing import Any, Literal, SupportsIndex, TypeVar

    from numpy.typing import DTypeLike

    from interproc.ends import Reader, ReadLock, Writer
    from interproc.participants import Participant

    OnNoConsumer = Literal["block", "raise", "drop_oldest"]
    T = TypeVar("T")
else:
    T = object

# What becomes of what a consumer took when it ends: as core/layout.hpp numbers it.
_UNCOUNTED, _COUNT, _REDELIVER = range(3)
_ON_NO_CONSUMER = ("block", "raise", "drop_oldest")  # as core/layout.hpp numbers them
_ENDS = frozenset({"reader", "writer"})
_LOCAL = frozenset({"_closed_ends", "_is_draining", "dead_letters"})  # attributes that pickling leaves out


class SharedQueue(_core.QueueBase[T]):
    """What all queues here have in common. Made by `Queue`, `JoinableQueue` and `SimpleQueue`."""

    dead_letters: SharedQueue[T] | None = None
    _closed_ends: frozenset[str] = frozenset()
    _is_draining = False

    def __iter__(self) -> Iterator[T]:
        """Takes objects until the queue is shut down and empty; blocks while it is merely empty."""
        while True:
            try:
                item = self.get()
            except ShutDown:
                return
            yield item

    def empty_array(
        self, shape: SupportsIndex | Iterable[SupportsIndex], dtype: DTypeLike = float, order: str = "C"
    ) -> Any:
        """Makes a numpy array in the queue's memory, to be filled and then put without a copy.

        Its values are undefined at first. Put as it is, alone or inside other objects, its memory becomes the
        receiver's, in a time that does not depend on its size; from then on using it raises ValueError, and whatever
        else points into it (slices, memoryviews, tensors) sees zeros of this process's own. If put() raises, the array
        is as before. Slices and other views of it are copied, as is one put anywhere else. It belongs to this process:
        a forked child has a copy. Never put, it gives its memory back with its last reference, also after this
        queue was closed.

        Args:
            shape: The lengths of its axes, or one length.
            dtype: What it holds; nothing with Python objects in it.
            order: "C" or "F", as in numpy.

        Arrays of less than 64 KiB, those for which no memory is left because receivers and lenders keep half of it, and
        those of a queue that redelivers are private memory, which is copied when put; all else is the same.

        Raises:
            TypeError: `dtype` has objects in it, or `shape` is none.
            ValueError: `shape` or `order` cannot be, or the queue is closed.
            ImportError: There is no numpy.
            OSError, MemoryError: There is no memory.
        """
        from interproc.lent_arrays import empty_array  # needs numpy

        return empty_array(self, shape, dtype, order)

    def participants(self) -> list[Participant]:
        """Lists the processes that are attached to this queue, this one among them once it has used it.

        Each is a `Participant(pid, is_alive, is_consumer, is_producer)`, which explains what attached means. A
        snapshot, which is taken without holding up anybody, in about ten microseconds for each; it may be old when it
        is looked at.

        Raises:
            ValueError: This object is closed; OSError for a SimpleQueue.
        """
        from interproc.participants import merge  # for the few who ask

        return merge(self._attached())

    def evict(self, pid: SupportsIndex) -> None:
        """Kills a process that uses this queue, and makes what it held free at once.

        For one that is stopped for ever, or hangs, with something of the queue in its hands. It is killed (SIGKILL)
        because nothing less is safe: it may have been stopped in the middle of an edit of the shared memory, which it
        would finish, over the work of others, when it goes on. When this returns it has ended; what it had taken is
        free, comes again or counts as failed, as for every process that is killed.

        Blocks until the system has ended the process, at once as a rule. Other queues, pipes and locks that it used
        notice its death in their own time. Never hits another process that was given the same number later.

        Args:
            pid: The process: see `participants`.

        Raises:
            ProcessLookupError: That process does not use this queue: it never did, has closed it, or has ended.
            PermissionError: This process may not kill that one, or not see which process it is.
            ValueError: It is this process; this object is closed.
        """
        from interproc.participants import evict  # for the few who need it

        evict("queue", pid, self._attached, self._sweep)

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickles a handle, at any time, for any process of the same user.

        Keep this object alive until the receiver has its own: a queue that nobody holds is gone.

        Raises:
            OSError: The queue is closed.
        """
        if self.closed:
            kind, text = self._closed_error
            raise kind(text)
        state = {name: value for name, value in vars(self).items() if name not in _LOCAL}
        return _rebuild, (type(self), self.segment, self.dead_letters), state or None

    @property
    def _reader(self) -> Reader:
        from interproc.ends import Reader  # for the few who look inside

        return Reader(self)

    @property
    def _writer(self) -> Writer:
        from interproc.ends import Writer  # for the few who look inside

        return Writer(self)

    @property
    def _rlock(self) -> ReadLock:
        from interproc.ends import ReadLock  # for the few who look inside

        return ReadLock(self)

    def _is_ready(self) -> bool:
        return not self.empty() or self.is_shut_down

    def _close_end(self, name: str) -> None:
        self._closed_ends |= {name}
        if self._closed_ends == _ENDS:
            self.close()


class Queue(SharedQueue[T]):
    """A first-in first-out queue for any number of producers and consumers, in any processes.

    Nobody can hang it: a process killed at any instant, inside `put` or `get` too, harms neither the queue nor the
    others. `empty`, `full` and `qsize` are exact. It may be pickled at any time.

    With `redeliver`, what was taken stays in shared memory until `task_done`. When the process that took it ends
    before, however that comes, or closes the queue, it is the first in line again, and `redelivered` tells the next one
    how often that has happened. Receivers get copies then, arrays that the queue lends are copied as well, and
    one message has at most half of `max_bytes`.

    Args:
        maxsize: How many objects it holds before `put` blocks; zero or less for no limit.
        ctx: Accepted as in multiprocessing; queues of all contexts are the same.
        max_bytes: How much memory its content may take before `put` blocks; zero for half of the machine's.
        warm_bytes: How much memory an idle queue keeps for the next big messages; the rest goes back to the system once
            the last message was taken.
        redeliver: Whether consumers have to acknowledge what they take, with `task_done`.
        max_deliveries: How often one object is delivered before it goes to `dead_letters`; zero for no limit. Where
            those have no room it is delivered once more.
        dead_letters: The queue for those, which may be of any kind; None for a new one.
        on_no_consumer: What putting into the full queue does when it has no consumer: "block" waits for one, "raise"
            raises NoConsumer, "drop_oldest" drops the first in line to make room. A consumer is a process other than
            the caller's own, alive or stopped, that has asked for an object (`get` and its kin, iteration) or for the
            descriptor (`fileno`) at least once, and has not closed the queue. Looked at when there is no room, and
            again every 100 ms to 1 s while waiting. One dropped counts as done; `statistics()["dropped"]` says how many
            those were. An object larger than the queue takes in one piece raises NoConsumer in both cases.

    Attributes:
        dead_letters: That queue; None without `max_deliveries`.

    Raises:
        TypeError: `maxsize` is not an integer; `dead_letters` is no queue of interproc.
        ValueError: `max_deliveries` or `dead_letters` without what they belong to; another `on_no_consumer`.
        OSError: Out of memory or descriptors.

    Differs: `put` pickles before it returns, so that its errors are raised there and later changes of the object do not
        show; no feeder thread exists, so `join_thread` has nothing to wait for; `close` closes a queue that was never
        put into as well.
    """

    _closed_error = (QueueClosed, "Queue is closed")
    _tasks = _UNCOUNTED

    def __init__(
        self,
        maxsize: int = 0,
        *,
        ctx: object = None,
        max_bytes: int = 0,
        warm_bytes: int = 32 << 20,
        redeliver: bool = False,
        max_deliveries: int = 0,
        dead_letters: SharedQueue[T] | None = None,
        on_no_consumer: OnNoConsumer = "block",
    ) -> None:
        max_items = max(0, operator.index(maxsize))
        most = operator.index(max_deliveries)
        if most < 0 or (most and not redeliver):
            raise ValueError(f"max_deliveries={most} needs redeliver=True, and must not be negative; 0 is no limit")
        if dead_letters is not None and not most:
            raise ValueError("dead_letters needs max_deliveries: how often an object is delivered before it goes there")
        if on_no_consumer not in _ON_NO_CONSUMER:
            raise ValueError(f"on_no_consumer={on_no_consumer!r} must be one of {', '.join(_ON_NO_CONSUMER)}")
        segment = _core.Segment.create(
            max_items=max_items,
            max_bytes=max_bytes,
            warm_bytes=warm_bytes,
            tasks=_REDELIVER if redeliver else self._tasks,
            max_deliveries=most,
            no_consumer=_ON_NO_CONSUMER.index(on_no_consumer),
        )
        if most and dead_letters is None:
            dead_letters = Queue()
        super().__init__(segment, 0, dead_letters)
        if dead_letters is not None:
            self.dead_letters = dead_letters

    def join_thread(self) -> None:
        """Returns at once: what was put is in shared memory already.

        Raises:
            AssertionError: The queue was not closed before.
        """
        if not self.closed:
            raise AssertionError(f"Queue {self!r} not closed")

    def cancel_join_thread(self) -> None:
        """Does nothing: no exit ever waits for this queue, and nothing that was put is lost."""


class JoinableQueue(Queue[T]):
    """A Queue whose producers can wait until everything was worked on: see `task_done` and `join`.

    Differs: `join` returns also when a consumer ended between `get` and `task_done`: what it had taken counts as done,
        and `statistics()["failed"]` says how much that was; or it comes again, with `redeliver`.
    """

    _tasks = _COUNT


class SimpleQueue(SharedQueue[T]):
    """A queue without a limit on the number of objects.

    Args:
        ctx: Accepted as in multiprocessing; queues of all contexts are the same.
        max_bytes: How much memory its content may take before `put` blocks; zero for half of the machine's.
        warm_bytes: How much memory an idle queue keeps for the next big messages; the rest goes back to the system once
            the last message was taken.

    Differs: `put` does not block once 64 KiB are waiting; `get` and `put` also take `block` and `timeout`.
    """

    _closed_error = (OSError, "handle is closed")

    def __init__(self, *, ctx: object = None, max_bytes: int = 0, warm_bytes: int = 32 << 20) -> None:
        super().__init__(_core.Segment.create(max_bytes=max_bytes, warm_bytes=warm_bytes))


def _rebuild(
    kind: type[SharedQueue[T]], segment: _core.Segment, dead_letters: SharedQueue[T] | None = None
) -> SharedQueue[T]:
    queue = kind.__new__(kind)
    _core.QueueBase.__init__(queue, segment, 0, dead_letters)
    if dead_letters is not None:
        queue.dead_letters = dead_letters
    return queue


__all__ = ["Empty", "Full", "JoinableQueue", "NoConsumer", "Queue", "ShutDown", "SimpleQueue"]
