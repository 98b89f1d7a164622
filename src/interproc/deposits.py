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
        for place in [place for place in self.kept if taken[place : place + 1] == _TAKEN]:
            del self.kept[place]


class Deposits:
    """What this process keeps for others."""

    def __init__(self) -> None:
        self._boards: list[_Board] = []
        self._lock = threading.Lock()

    def leave(self, obj: object) -> Ticket:
        """Keeps an object until its ticket was taken.

        Raises:
            OSError: Out of memory or descriptors.
        """
        with self._lock:
            self._forget_taken()
            if not self._boards or self._boards[-1].used_count == _MOST_ON_A_BOARD:
                self._boards.append(_Board())
            board = self._boards[-1]
            place = board.used_count
            board.used_count += 1
            board.kept[place] = obj
        return Ticket(board.handle, place)

    def forget_taken(self) -> None:
        """Drops what was taken. Returns at once, also inside a finalizer that interrupted one of these methods."""
        if self._boards and self._lock.acquire(blocking=False):
            try:
                self._forget_taken()
            finally:
                self._lock.release()

    def withdraw(self, obj: object) -> None:
        """Drops an object, whoever may still come for it."""
        with self._lock:
            for board in self._boards:
                for place in [place for place, kept in board.kept.items() if kept is obj]:
                    del board.kept[place]
            self._forget_taken()

    def reset_after_fork(self) -> None:
        """Leaves it to the parent to keep what is the parent's."""
        for board in self._boards:
            os.close(board.fd)
        self._boards = []
        self._lock = threading.Lock()

    def _forget_taken(self) -> None:
        for board in self._boards[:]:
            board.forget_taken()
            if not board.kept:
                self._boards.remove(board)
                os.close(board.fd)


deposits = Deposits()
os.register_at_fork(after_in_child=deposits.reset_after_fork)

__all__ = ["Deposits", "Ticket", "deposits"]
