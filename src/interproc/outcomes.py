"""Exceptions on their way to another process.

An exception travels as itself, with the text of its traceback as its cause, like in multiprocessing.pool. Beside it
goes that text alone: an exception that cannot be made anew where it arrives is a RemoteError there.
"""

from __future__ import annotations

import traceback
from multiprocessing.pool import RemoteTraceback  # type: ignore[attr-defined]  # typeshed leaves it out

from interproc.sealing import seal, unseal

TYPE_CHECKING = False  # without importing typing: see ARCHITECTURE.md on import time
if TYPE_CHECKING:
    from typing import Any

    Packed = tuple[str, str, str, Any]  # type, one line, traceback, the exception sealed or why it could not be


class RemoteError(Exception):
    """An exception of another process that cannot be made anew in this one. Its text says all about it.

    Attributes:
        kind: The full name of the exception's class.
        summary: The exception in one line.
        traceback: Where it was raised, as Python prints it.
    """

    def __init__(self, kind: str, summary: str, traceback: str, reason: str) -> None:
        super().__init__(kind, summary, traceback, reason)
        self.kind = kind
        self.summary = summary
        self.traceback = traceback
        self.reason = reason

    def __str__(self) -> str:
        text = (
            f"{self.summary}\n\nThe exception itself cannot be made anew here ({self.reason}). Give {self.kind} a"
            " __reduce__ method that says how."
        )
        return f'{text}\n"""\n{self.traceback}"""' if self.traceback else text


def pack(error: BaseException, with_traceback: bool = True) -> Packed:
    """Makes an exception ready to travel; never raises because of it.

    Args:
        with_traceback: Whether its traceback goes along; for where that says nothing.
    """
    kind = f"{type(error).__module__}.{type(error).__qualname__}"
    try:
        summary = "".join(traceback.format_exception_only(error)).strip()
        text = "".join(traceback.format_exception(error)) if with_traceback else ""
    except Exception as failure:  # of its own __str__
        summary = f"{kind} (and its text cannot be made: {_name_of(failure)})"
        text = "".join(traceback.format_tb(error.__traceback__)) if with_traceback else ""
    try:
        sealed: Any = seal(error)
    except Exception as failure:
        return kind, summary, text, f"pickling it raised {_name_of(failure)}"
    return kind, summary, text, sealed


def unpack(packed: Packed) -> BaseException:
    """Makes the exception anew, or a RemoteError in its place."""
    kind, summary, text, sealed = packed
    if isinstance(sealed, str):
        return RemoteError(kind, summary, text, sealed)
    try:
        error = unseal(sealed)
    except (Exception, SystemExit) as failure:
        return RemoteError(kind, summary, text, f"unpickling it raised {_name_of(failure)}")
    if not isinstance(error, BaseException):
        return RemoteError(kind, summary, text, f"unpickling it gave {type(error).__qualname__}")
    if text:
        error.__cause__ = RemoteTraceback(f'\n"""\n{text}"""')
    return error


def _name_of(error: BaseException) -> str:
    try:
        return f"{type(error).__name__}: {error}"
    except Exception:
        return type(error).__name__


__all__ = ["RemoteError", "pack", "unpack"]
