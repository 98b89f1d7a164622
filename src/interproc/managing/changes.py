"""Changes: which of a manager's containers changed, told through memory that its clients map.

A page of numbers, one for each place; a container's place follows from its identity, so several containers may share
one. A change stores a number that was never there before. Who has read a container after reading its number has its
present content as long as the number stays.
"""

from __future__ import annotations

import mmap
import os
import threading
from functools import lru_cache
from itertools import count

_PLACES = 512
_SIZE_BYTES = 8 * _PLACES


@lru_cache
def place_of(ident: str) -> int:
    """The place of the shared object with this identity."""
    return int(ident, 16) // 16 % _PLACES


class Changes:
    """The server's side: it alone writes.

    Attributes:
        fd: The memory, to be passed to clients.
        locks: One for each place: who changes a container there holds it.
    """

    def __init__(self) -> None:
        self.fd = os.memfd_create("interproc-changes", os.MFD_CLOEXEC)
        os.ftruncate(self.fd, _SIZE_BYTES)
        self._numbers = memoryview(mmap.mmap(self.fd, _SIZE_BYTES)).cast("Q")
        self._fresh = count(1)
        self.locks = [threading.RLock() for _ in range(_PLACES)]

    def __del__(self) -> None:
        os.close(self.fd)

    def note(self, place: int) -> int:
        """Says that something at a place has changed, after the change; returns the place's new number."""
        number = next(self._fresh)
        self._numbers[place] = number
        return number

    def number(self, place: int) -> int:
        """The number at a place."""
        return self._numbers[place]


class ChangesSeen:
    """A client's side."""

    def __init__(self, fd: int) -> None:
        """Maps the memory behind a descriptor, which stays the caller's."""
        self._numbers = memoryview(mmap.mmap(fd, _SIZE_BYTES, prot=mmap.PROT_READ)).cast("Q")
        self.number = self._numbers.__getitem__


__all__ = ["Changes", "ChangesSeen", "place_of"]
