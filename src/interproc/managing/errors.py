"""ManagerDied: what a call to a manager raises when there is no manager any more."""

from __future__ import annotations


class ManagerDied(EOFError, BrokenPipeError):
    """The process that keeps the shared objects has ended, and they with it.

    It is both an EOFError and a ConnectionError, which multiprocessing raises by turns.

    Attributes:
        pid: The manager's process; None where this process never reached it.
    """

    def __init__(self, message: str, pid: int | None = None) -> None:
        super().__init__(message)
        self.pid = pid


__all__ = ["ManagerDied"]
