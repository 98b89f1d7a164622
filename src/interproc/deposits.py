"""Deposits: what was sent by handle stays here until it was taken, even if the program has dropped it.

A handle leads to a descriptor of the process that sent it. With a Ticket beside it that process keeps the object until
the receiver has it. The receiver writes into a file in memory that the ticket leads to; the sender looks there whenever
it deposits or drops something, so nobody waits and no thread is needed. What is never taken goes when it is withdrawn,
or with the process.
"""

from __future__ import annotations

import os
import threading
from contextlib import suppress

from interproc.errors import HandleExpired
from interproc.handles import Handle

_MOST_ON_A_BOARD = 4096
_TAKEN = b"\1"


class Ticket:
    """Travels beside a handle."""

    __slots__ = ("_board", "_place")

    def __init__(self, board: Handle, place: int) -> None:
        self._board = board
        self._place = place

    def take(self) -> None:
        """Tells the depositor that the receiver has what the ticket is for. Never blocks."""
        with suppress(HandleExpired):  # the depositor has ended or withdrawn it: nobody keeps anything
            fd = self._board.detach()
            try:
                os.pwrite(fd, _TAKEN, self._place)
            finally:
                os.close(fd)

    def __reduce__(self) -> tuple[type[Ticket], tuple[Handle, int]]:
        return Ticket, (self._board, self._place)


class _Board:
    """A file with one byte for each deposit, which whoever took it sets."""

    def __init__(self) -> None:
        self.fd = os.memfd_create("interproc-deposits", os.MFD_CLOEXEC)
        self.handle = Handle.of(self.fd)
        self.used_count = 0
        self.kept: dict[int, object] = {}

    def forget_taken(self) -> None:
        taken = os.pread(self.fd, self.used_count, 0)
        for place in list(self.kept):
            if taken[place : place + 1] == _TAKEN:
                self.kept.pop(place, None)


class Deposits:
    """What this process keeps for others.

    A finalizer may call any of these methods in the middle of another. Only the outermost call removes boards.
    """

    def __init__(self) -> None:
        self._boards: list[_Board] = []
        self._lock = threading.RLock()
        self._is_busy = False

    def leave(self, obj: object) -> Ticket:
        """Keeps an object until its ticket was taken.

        Raises:
            OSError: Out of memory or descriptors.
        """
        with self._lock:
            self._forget_taken()
            outermost, self._is_busy = not self._is_busy, True
            try:
                if not self._boards or self._boards[-1].used_count == _MOST_ON_A_BOARD:
                    self._boards.append(_Board())
                board = self._boards[-1]
                place = board.used_count
                board.used_count += 1
                board.kept[place] = obj
            finally:
                self._is_busy = not outermost
        return Ticket(board.handle, place)

    def forget_taken(self) -> None:
        """Drops what was taken; does nothing where another thread is at it. Never blocks, for finalizers."""
        if self._boards and self._lock.acquire(blocking=False):
            try:
                self._forget_taken()
            finally:
                self._lock.release()

    def withdraw(self, obj: object) -> None:
        """Drops an object, whoever may still come for it."""
        with self._lock:
            for board in list(self._boards):
                for place, kept in list(board.kept.items()):
                    if kept is obj:
                        board.kept.pop(place, None)
            self._forget_taken()

    def reset_after_fork(self) -> None:
        """Leaves it to the parent to keep what is the parent's."""
        boards, self._boards = self._boards, []
        self._lock = threading.RLock()
        self._is_busy = False
        for board in boards:
            os.close(board.fd)

    def _forget_taken(self) -> None:
        if self._is_busy:
            return
        self._is_busy = True
        try:
            for board in list(self._boards):
                board.forget_taken()
                if not board.kept:
                    self._boards.remove(board)
                    os.close(board.fd)
        finally:
            self._is_busy = False


deposits = Deposits()
os.register_at_fork(after_in_child=deposits.reset_after_fork)

__all__ = ["Deposits", "Ticket", "deposits"]
