"""Queues between threads, with as much of the interface of queues between processes as pools use."""

from __future__ import annotations

import os
import queue
from collections.abc import Iterable
from contextlib import suppress
from queue import Empty
from typing import Any


class LocalQueue:
    """A queue for any number of threads. Nothing is pickled."""

    def __init__(self) -> None:
        self._queue: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self.get = self._queue.get
        self.qsize = self._queue.qsize
        self.empty = self._queue.empty

    def put(self, item: Any, block: bool = True) -> None:
        """Puts an item; never blocks."""
        self._queue.put(item)

    def put_many(self, items: Iterable[Any], block: bool = True) -> None:
        """Puts several items; never blocks."""
        for item in items:
            self._queue.put(item)

    def get_many(self, max_items: int, block: bool = False) -> list[Any]:
        """Takes what is there; never blocks.

        Raises:
            queue.Empty: Nothing is.
        """
        items = []
        with suppress(Empty):
            for _ in range(max_items):
                items.append(self._queue.get_nowait())
        if not items:
            raise Empty
        return items

    def close(self) -> None:
        """Needs nothing."""


class WatchedQueue(LocalQueue):
    """A local queue with a descriptor that is readable while it is not empty, and perhaps once more."""

    def __init__(self) -> None:
        super().__init__()
        self._bell_fd = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._is_rung = False

    def __del__(self) -> None:
        os.close(self._bell_fd)  # not before: a thread may put at any time

    def fileno(self) -> int:
        """The descriptor, which stays the queue's."""
        return self._bell_fd

    def put(self, item: Any, block: bool = True) -> None:
        """Puts an item; never blocks."""
        self._queue.put(item)
        if not self._is_rung:
            self._is_rung = True
            os.eventfd_write(self._bell_fd, 1)

    def get_many(self, max_items: int, block: bool = False) -> list[Any]:
        """Takes what is there; never blocks.

        Raises:
            queue.Empty: Nothing is.
        """
        try:
            return super().get_many(max_items)
        except Empty:
            if not self._is_rung:
                raise
            with suppress(BlockingIOError):
                os.eventfd_read(self._bell_fd)
            self._is_rung = False  # who puts from here on rings
            return super().get_many(max_items)  # what was put before
