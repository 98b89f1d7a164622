"""Pipes in shared memory, and the standard library's Listener and Client.

A pipe's two ends are Connections: a channel for each direction, and a lifeline, which is a pipe of the kernel that
carries no data. The kernel closes the lifeline with its last holder, so the peer's end is noticed however it comes.
"""

from __future__ import annotations

import errno
import multiprocessing.connection
import os
from collections.abc import Callable
from contextlib import ExitStack
from multiprocessing import reduction
from multiprocessing.connection import Client, Listener, answer_challenge, deliver_challenge
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import interproc.codec  # noqa: F401  # tells the native codec about Python
from interproc import _core, handles
from interproc.handles import fetch
from interproc.waiting import is_readable, wait

if TYPE_CHECKING:
    from interproc.handles import Source

# A flooding sender is held back after this many messages, or this much memory, that nobody has received. So little
# memory stays in the processor's cache: with 16 MiB, messages of 64 KiB cost twice as much. Larger messages flow
# through it, unless the receiver reads them where they lie.
_MAX_ITEMS = 8192
_MAX_UNREAD_BYTES = 1 << 20


class Connection(_core.ConnectionBase):
    """One end of a pipe.

    Any number of threads and processes may use an end at the same time: messages stay whole. `fileno()` is readable
    while there is something to receive or the peer is gone, for `select`, asyncio and GUI loops. It may be pickled at
    any time, and then closed at once: a thread of multiprocessing keeps what the receiver needs until it has it.

    Differs: the methods that block take a `timeout`, and raise `TimeoutError` when it passes; `recv_bytes` with a
        `maxlength` that is too small drops that message and leaves the connection usable.
    """

    def __init__(self, segment: _core.Segment, side: int = 0, read_fd: int = -1, write_fd: int = -1) -> None:
        if not isinstance(segment, _core.Segment):
            raise TypeError(
                f"connections of interproc come from Pipe(), not from {segment!r}; for a socket or another descriptor"
                " use multiprocessing.connection.Connection"
            )
        super().__init__(segment, side, read_fd, write_fd)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickles a handle that leads to this end until a receiver has it.

        Raises:
            OSError: The connection is closed.
        """
        if self.closed:
            raise OSError("handle is closed")
        segment = self.segment if handles.is_spawning() else _Kept(self.segment)
        ends = tuple(None if fd < 0 else reduction.DupFd(fd) for fd in (self.read_fd, self.write_fd))
        return _rebuild, (type(self), segment, self.side, *ends)

    def _is_ready(self) -> bool:
        return self.poll() if self.readable else is_readable(self.fileno())


class _Kept:
    """Stands for a segment in a pickle that the sender need not outlive."""

    def __init__(self, segment: _core.Segment) -> None:
        self._segment = segment

    def __reduce__(self) -> tuple[Any, ...]:
        return handles.reduce_kept_segment(self._segment)


def Pipe(duplex: bool = True) -> tuple[Connection, Connection]:
    """Makes the two ends of a pipe.

    Args:
        duplex: True for ends that both send and receive; False for a first that only receives and a second that only
            sends.

    Raises:
        OSError: Out of memory or descriptors; nothing is left behind.
    """
    segment = _core.Segment.create(
        channels=2 if duplex else 1, max_items=_MAX_ITEMS, max_unread_bytes=_MAX_UNREAD_BYTES
    )
    with ExitStack() as undo:
        read_of_1, write_of_0 = _make_lifeline(undo)
        read_of_0, write_of_1 = _make_lifeline(undo) if duplex else (-1, -1)
        first = Connection(segment, 0, read_of_0, write_of_0)
        second = Connection(segment, 1, read_of_1, write_of_1)
        undo.pop_all()
    return (first, second) if duplex else (second, first)


def _make_lifeline(undo: ExitStack) -> tuple[int, int]:
    try:
        read_fd, write_fd = os.pipe2(os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        if error.errno != errno.EMFILE:
            raise
        raise OSError(
            errno.EMFILE, "too many open files in this process: close some, or raise RLIMIT_NOFILE (ulimit -n)"
        ) from None
    undo.callback(os.close, read_fd)
    undo.callback(os.close, write_fd)
    return read_fd, write_fd


def _rebuild(
    kind: Callable[..., Connection], segment: _core.Segment, side: int, reader: Source | None, writer: Source | None
) -> Connection:
    with ExitStack() as undo:
        fds = []
        for source in (reader, writer):
            fds.append(-1 if source is None else fetch(source))
            if source is not None:
                undo.callback(os.close, fds[-1])
        connection = kind(segment, side, *fds)
        undo.pop_all()
    return connection


_standard: Any = multiprocessing.connection  # typeshed leaves these out
ConnectionWrapper = _standard.ConnectionWrapper
SocketClient = _standard.SocketClient
SocketListener = _standard.SocketListener
address_type = _standard.address_type
arbitrary_address = _standard.arbitrary_address
default_family = _standard.default_family
families = _standard.families

__all__ = [
    "Client",
    "Connection",
    "ConnectionWrapper",
    "Listener",
    "Pipe",
    "SocketClient",
    "SocketListener",
    "address_type",
    "answer_challenge",
    "arbitrary_address",
    "default_family",
    "deliver_challenge",
    "families",
    "wait",
]
