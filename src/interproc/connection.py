"""Connections: the two ends of a pipe in shared memory, and those of sockets.

An end of a pipe is a channel for each direction, and a lifeline, which is a pipe of the kernel that carries no data.
The kernel closes the lifeline with its last holder, so the peer's end is noticed however it comes. Connections over
sockets are `socket_connection`'s, and who makes them `listeners`'.
"""

from __future__ import annotations

import errno
import multiprocessing.connection
import os
from collections.abc import Callable, Iterable
from contextlib import ExitStack
from multiprocessing import AuthenticationError, BufferTooShort, reduction
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, SupportsIndex

import interproc.codec  # noqa: F401  # tells the native codec about Python
from interproc import _core, handles, handshake
from interproc.addresses import address_type, arbitrary_address, default_family, families, shorten_temp_dir
from interproc.handles import fetch
from interproc.handshake import (
    CHALLENGE,
    FAILURE,
    WELCOME,
    HandshakeFailed,
    answer_challenge,
    deliver_challenge,
)
from interproc.listeners import (
    CONNECTION_TIMEOUT,
    Client,
    ConnectionWrapper,
    Listener,
    SocketClient,
    SocketListener,
    XmlClient,
    XmlListener,
)
from interproc.socket_connection import SocketConnection, rebuild_connection, reduce_connection
from interproc.waiting import is_readable, wait

if TYPE_CHECKING:
    from numpy.typing import DTypeLike

    from interproc.handles import Source

# A flooding sender is held back after this many messages, or this much memory, that nobody has received. So little
# memory stays in the processor's cache: with 16 MiB, messages of 64 KiB cost twice as much. Larger messages flow
# through it, unless the receiver reads them where they lie.
_MAX_ITEMS = 8192
_MAX_UNREAD_BYTES = 1 << 20


class _EitherKind(type):
    """Lets connections over descriptors count as Connections."""

    def __instancecheck__(cls, instance: object) -> bool:
        return super().__instancecheck__(instance) or (cls is Connection and isinstance(instance, SocketConnection))


class Connection(_core.ConnectionBase, metaclass=_EitherKind):
    """One end of a pipe, or a connection over a descriptor.

    Any number of threads and processes may use an end of a pipe at the same time: messages stay whole. `fileno()` is
    readable while there is something to receive or the peer is gone, for `select`, asyncio and GUI loops. It may be
    pickled at any time, and then closed at once: a thread of multiprocessing keeps what the receiver needs until it has
    it. `Pipe` makes the two ends; of a descriptor this makes a `SocketConnection`, which speaks the standard library's
    wire format.

    Differs: the methods that block take a `timeout`, and raise `TimeoutError` when it passes; `recv_bytes` with a
        `maxlength` that is too small drops that message and leaves the connection usable.
    """

    def __new__(cls, handle: Any = None, readable: bool = True, writable: bool = True, *_: int) -> Any:
        """Chooses the kind that fits what the connection is made of."""
        if handle is None or isinstance(handle, _core.Segment):
            return super().__new__(cls)
        return SocketConnection(handle, readable, writable)

    if TYPE_CHECKING:

        def __init__(self, handle: Any, readable: bool = True, writable: bool = True) -> None: ...

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def empty_array(
        self, shape: SupportsIndex | Iterable[SupportsIndex], dtype: DTypeLike = float, order: str = "C"
    ) -> Any:
        """Makes a numpy array in the memory of the pipe, to be filled and then sent without a copy.

        Its values are undefined at first. Sent as it is, alone or inside other objects, its memory becomes the
        receiver's, in a time that does not depend on its size; from then on using it raises ValueError, and whatever
        else points into it (slices, memoryviews, tensors) sees zeros of this process's own. If send() raises, the array
        is as before. Slices and other views of it are copied, as is one sent anywhere else. It belongs to this process:
        a forked child has a copy. Never sent, it gives its memory back with its last reference, also after this
        connection was closed.

        Args:
            shape: The lengths of its axes, or one length.
            dtype: What it holds; nothing with Python objects in it.
            order: "C" or "F", as in numpy.

        Arrays of less than 64 KiB, and those for which no memory is left because receivers and lenders keep half of it,
        are private memory, which is copied when sent; all else is the same.

        Raises:
            TypeError: `dtype` has objects in it, or `shape` is none.
            ValueError: `shape` or `order` cannot be.
            ImportError: There is no numpy.
            OSError, MemoryError: There is no memory; OSError also if this end is closed or only receives.
        """
        from interproc.lent_arrays import empty_array  # needs numpy

        return empty_array(self, shape, dtype, order)

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickles a handle that leads to this end until a receiver has it.

        Raises:
            OSError: The connection is closed.
        """
        if self.closed:
            raise OSError("handle is closed")
        shorten_temp_dir()  # of the thread that keeps it
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


_make_end: Callable[..., Connection] = Connection


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
        first = _make_end(segment, 0, read_of_0, write_of_0)
        second = _make_end(segment, 1, read_of_1, write_of_1)
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
BUFSIZE: int = _standard.BUFSIZE
MESSAGE_LENGTH: int = _standard.MESSAGE_LENGTH
_CHALLENGE, _WELCOME, _FAILURE = CHALLENGE, WELCOME, FAILURE  # since Python 3.12
_create_response, _verify_challenge = handshake._create_response, handshake._verify_challenge

__all__ = [
    "BUFSIZE",
    "CHALLENGE",
    "CONNECTION_TIMEOUT",
    "FAILURE",
    "MESSAGE_LENGTH",
    "WELCOME",
    "AuthenticationError",
    "BufferTooShort",
    "Client",
    "Connection",
    "ConnectionWrapper",
    "HandshakeFailed",
    "Listener",
    "Pipe",
    "SocketClient",
    "SocketConnection",
    "SocketListener",
    "XmlClient",
    "XmlListener",
    "address_type",
    "answer_challenge",
    "arbitrary_address",
    "default_family",
    "deliver_challenge",
    "families",
    "rebuild_connection",
    "reduce_connection",
    "wait",
]
