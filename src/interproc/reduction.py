"""Pickling for other processes, and passing descriptors.

The standard library's own implementation, except that descriptors also pass over connections of ours.
"""

from __future__ import annotations

from multiprocessing import reduction
from multiprocessing.reduction import (
    HAVE_SEND_HANDLE,
    AbstractReducer,
    DupFd,
    ForkingPickler,
    dump,
    recvfds,
    register,
    sendfds,
)

from interproc import _core

TYPE_CHECKING = False  # without importing typing: see ARCHITECTURE.md on import time
if TYPE_CHECKING:
    from typing import Any

ACKNOWLEDGE: bool = getattr(reduction, "ACKNOWLEDGE", False)  # until Python 3.13


def send_handle(conn: Any, handle: int, destination_pid: int | None) -> None:
    """Sends a descriptor, which the sender may close at once.

    Args:
        conn: A connection of ours, a socket, or a standard Connection that is one.
        handle: The descriptor.
        destination_pid: The process that receives; means something on Windows only.
    """
    if isinstance(conn, _core.ConnectionBase):
        from interproc.addresses import shorten_temp_dir

        shorten_temp_dir()  # of the thread that keeps it
        conn.send(DupFd(handle))
    else:
        reduction.send_handle(conn, handle, destination_pid)


def recv_handle(conn: Any) -> int:
    """Receives a descriptor, which is the caller's from then on; blocks until one comes."""
    if isinstance(conn, _core.ConnectionBase):
        descriptor: int = conn.recv().detach()
        return descriptor
    return reduction.recv_handle(conn)


__all__ = [
    "ACKNOWLEDGE",
    "HAVE_SEND_HANDLE",
    "AbstractReducer",
    "DupFd",
    "ForkingPickler",
    "dump",
    "recv_handle",
    "recvfds",
    "register",
    "send_handle",
    "sendfds",
]
