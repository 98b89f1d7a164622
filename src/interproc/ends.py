"""The two ends of a queue, apart, for code that looks inside.

multiprocessing's Pool, ProcessPoolExecutor and many programs use `_reader`, `_writer` and `_rlock` of a queue as if it
were a pipe with a lock. Views here, without state of their own: a queue of ours has neither.
"""

from __future__ import annotations

from interproc.errors import Empty
from interproc.waiting import wait

TYPE_CHECKING = False  # without importing typing: see ARCHITECTURE.md on import time
if TYPE_CHECKING:
    from typing import Any

    from interproc.queues import SharedQueue


class _End:
    """What both ends have in common."""

    _name: str

    def __init__(self, queue: SharedQueue[Any]) -> None:
        self._queue = queue

    @property
    def closed(self) -> bool:
        """True once this end, or the whole queue, is closed in this process."""
        return self._name in self._queue._closed_ends or self._queue.closed

    def close(self) -> None:
        """Closes this end in this process; the queue itself with the second end."""
        self._queue._close_end(self._name)

    def fileno(self) -> int:
        """The descriptor that is readable while the queue is not empty."""
        self._check_open()
        return self._queue.fileno()

    def _check_open(self) -> None:
        if self.closed:
            raise OSError("handle is closed")


class Reader(_End):
    """The end that takes."""

    _name = "reader"
    readable = True
    writable = False

    def poll(self, timeout: float | None = 0.0) -> bool:
        """Whether there is an object to take; waits for one until `timeout` has passed."""
        self._check_open()
        return self._is_ready() or (timeout != 0 and bool(wait([self._queue], timeout)))

    def _is_ready(self) -> bool:
        return self._queue._is_ready()

    def recv(self) -> Any:
        """Takes an object; blocks until there is one.

        Under the read lock it returns None instead of blocking: who holds that lock drains the queue, and relies on
        nobody else to have taken what poll() saw.
        """
        self._check_open()
        if not self._queue._is_draining:
            return self._queue.get()
        try:
            return self._queue.get_nowait()
        except Empty:
            return None


class Writer(_End):
    """The end that puts."""

    _name = "writer"
    readable = False
    writable = True

    def send(self, obj: Any) -> None:
        """Puts an object; blocks while the queue is full."""
        self._check_open()
        self._queue.put(obj)


class ReadLock:
    """The lock that readers of multiprocessing's queues take. Reading ours takes none: it only marks who drains."""

    def __init__(self, queue: SharedQueue[Any]) -> None:
        self._queue = queue

    def acquire(self, block: bool = True, timeout: float | None = None) -> bool:
        """Begins to drain."""
        self._queue._is_draining = True
        return True

    def release(self) -> None:
        """Ends draining."""
        self._queue._is_draining = False

    def __enter__(self) -> bool:
        return self.acquire()

    def __exit__(self, *exception: object) -> None:
        self.release()
