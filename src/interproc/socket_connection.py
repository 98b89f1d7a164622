"""Connections over a socket or another descriptor, in the standard library's wire format."""

from __future__ import annotations

import io
import math
import multiprocessing.connection
import os
import pickle
import select
import socket
from multiprocessing import BufferTooShort, reduction
from multiprocessing.util import ForkAwareThreadLock
from typing import TYPE_CHECKING, Any

from interproc.addresses import shorten_temp_dir
from interproc.codec import main_module, pickling
from interproc.codec.reducers import merge_reducers
from interproc.deadlines import deadline_after, seconds_until
from interproc.errors import TimedOut
from interproc.framing import Incoming, header_of
from interproc.handles import fetch
from interproc.waiting import wait

if TYPE_CHECKING:
    from collections.abc import Callable

    from _typeshed import ReadableBuffer, WriteableBuffer

    from interproc.handles import Source

    StandardConnection = multiprocessing.connection.Connection[Any, Any]
else:
    StandardConnection = multiprocessing.connection.Connection

_READ_BYTES = 1 << 20  # at once: what the peer says about the length is not trusted with memory
_JOIN_BYTES = 16 * 1024  # up to here a message goes in one piece with its header


class SocketConnection(StandardConnection):
    """A connection over a descriptor of this process: what `Listener.accept` and `Client` return.

    The peer may be the standard library's, of any version. Any number of threads may use it at the same time, and
    messages stay whole; processes that share one socket must take turns. Lambdas, closures and the like can be sent.
    `fileno()` is the descriptor, for `select`, asyncio and GUI loops. It may be pickled at any time, and then closed at
    once: a thread of multiprocessing keeps the descriptor until the receiver has it.

    A receive that is interrupted or times out loses nothing: the next one goes on with what has come. A send that stops
    inside of a message leaves the peer with half of it, so nothing more can be sent then.

    Args:
        handle: The descriptor, which belongs to the connection from now on.
        readable: Whether it can be received from.
        writable: Whether it can be sent to.

    Raises:
        ValueError: The descriptor is negative, or the connection would be neither readable nor writable.

    Differs: the methods that block take a `timeout`, and raise `TimeoutError` when it passes; `recv_bytes` with a
        `maxlength` that is too small drops that message and leaves the connection usable.
    """

    _handle: int | None
    _socket: socket.socket | None = None

    def __init__(self, handle: int, readable: bool = True, writable: bool = True) -> None:
        super().__init__(handle, readable, writable)
        self._incoming = Incoming()
        self._is_torn = False
        self._main_can_be_imported = main_module.can_be_imported()
        self._send_lock: Any = ForkAwareThreadLock()
        self._recv_lock: Any = ForkAwareThreadLock()
        try:
            self._socket = socket.socket(fileno=handle)
        except OSError:  # another kind of descriptor, or none: the first use will tell
            return
        if socket.getdefaulttimeout() is not None:
            self._socket.setblocking(True)

    def _close(self, _close: Callable[[int], object] = os.close) -> None:
        if self._socket is not None:
            self._socket.detach()
        if self._handle is not None:
            _close(self._handle)

    def send(self, obj: Any, timeout: float | None = None) -> None:
        """Sends an object; blocks while the peer reads too slowly.

        Args:
            obj: Anything that a queue takes.
            timeout: Seconds until TimeoutError; None waits for ever.

        Raises:
            UnsendableError: Something in it cannot be sent; says what.
            OSError: The connection is closed, read-only or torn; or the peer is gone (BrokenPipeError and kin).
            TimeoutError: The timeout passed. If a part was sent by then, nothing can be sent any more.
        """
        self._check("writable")
        self._send_message(self._encode(obj), deadline_after(timeout))

    def send_bytes(
        self, buf: ReadableBuffer, offset: int = 0, size: int | None = None, timeout: float | None = None
    ) -> None:
        """Sends bytes as one message; blocks while the peer reads too slowly.

        Args:
            buf: The buffer to send from.
            offset: Where to begin in it, in bytes.
            size: How many bytes to send; None for the rest.
            timeout: Seconds until TimeoutError; None waits for ever.

        Raises:
            ValueError: `offset` or `size` lie outside of the buffer.
            OSError: As from `send`.
            TimeoutError: As from `send`.
        """
        self._check("writable")
        view = memoryview(buf)
        if view.itemsize != 1 or view.ndim != 1:
            view = view.cast("B")
        if offset < 0:
            raise ValueError(f"offset is negative: {offset}")
        if size is not None and size < 0:
            raise ValueError(f"size is negative: {size}")
        end = len(view) if size is None else offset + size
        if offset > len(view) or end > len(view):
            raise ValueError(f"buffer length < offset + size: {len(view)} < {max(offset, end)}")
        self._send_message(view[offset:end], deadline_after(timeout))

    def recv(self, timeout: float | None = None) -> Any:
        """Receives an object, as the pickle that the peer sent: only trusted peers should be received from.

        Blocks until one has come whole.

        Args:
            timeout: Seconds until TimeoutError; None waits for ever.

        Raises:
            EOFError: The peer closed its end.
            OSError: The connection is closed or write-only, or the peer went inside of a message.
            TimeoutError: The timeout passed; nothing is lost.
        """
        self._check("readable")
        return pickle.loads(self._receive(None, deadline_after(timeout)))

    def recv_bytes(self, maxlength: int | None = None, timeout: float | None = None) -> bytes:
        """Receives a message as bytes; blocks until one has come whole.

        Args:
            maxlength: How long the message may be; None for any length.
            timeout: Seconds until TimeoutError; None waits for ever.

        Raises:
            ValueError: `maxlength` is negative.
            OSError: The message is longer, and dropped; or as from `recv`.
            EOFError: As from `recv`.
            TimeoutError: As from `recv`.
        """
        self._check("readable")
        if maxlength is not None and maxlength < 0:
            raise ValueError(f"negative maxlength: {maxlength}")
        return self._receive(maxlength, deadline_after(timeout))

    def recv_bytes_into(self, buf: WriteableBuffer, offset: int = 0, timeout: float | None = None) -> int:
        """Receives a message into a buffer; blocks until one has come whole.

        Args:
            buf: The buffer.
            offset: Where to begin in it, in bytes.
            timeout: Seconds until TimeoutError; None waits for ever.

        Returns:
            The message's length in bytes.

        Raises:
            ValueError: `offset` lies outside of the buffer.
            BufferTooShort: The message does not fit; the error's argument is the message.
            OSError: As from `recv`.
            EOFError: As from `recv`.
            TimeoutError: As from `recv`.
        """
        self._check("readable")
        with memoryview(buf) as view, view.cast("B") as target:
            if offset < 0:
                raise ValueError(f"negative offset: {offset}")
            if offset > len(target):
                raise ValueError(f"offset too large: {offset} in a buffer of {len(target)} bytes")
            message = self._receive(None, deadline_after(timeout))
            if offset + len(message) > len(target):
                raise BufferTooShort(message)
            target[offset : offset + len(message)] = message
            return len(message)

    def poll(self, timeout: float | None = 0.0) -> bool:
        """Whether a part of a message has come, or the peer is gone.

        Args:
            timeout: Seconds to wait for that; None waits for ever.

        Raises:
            OSError: The connection is closed or write-only.
        """
        self._check("readable")
        return bool(wait([self], timeout))

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickles what leads to the descriptor, once.

        Raises:
            OSError: The connection is closed, or half of a message has been received.
        """
        self._check()
        if self._incoming.has_begun:
            raise OSError("a connection cannot be sent while half of a message has been received: receive it first")
        shorten_temp_dir()
        return rebuild_connection, (reduction.DupFd(self.fileno()), self.readable, self.writable)

    def _check(self, direction: str = "") -> None:
        if self.closed:
            raise OSError("handle is closed")
        if direction == "readable" and not self.readable:
            raise OSError("connection is write-only")
        if direction == "writable" and not self.writable:
            raise OSError("connection is read-only")

    def _encode(self, obj: Any) -> memoryview:
        if self._main_can_be_imported:
            stream = io.BytesIO()
            pickler = pickle.Pickler(stream, pickling.PROTOCOL)
            pickler.dispatch_table = merge_reducers()
            try:
                pickler.dump(obj)
            except Exception:  # the way below finds another, or says what is to blame
                return memoryview(pickling.dumps(obj, {"obj": obj}))
            return stream.getbuffer()
        return memoryview(pickling.dumps(obj, {"obj": obj}))

    def _send_message(self, view: memoryview, deadline_ns: int | None) -> None:
        header = header_of(len(view))
        _take(self._send_lock, deadline_ns)
        try:
            if self._is_torn:
                raise BrokenPipeError("an earlier send stopped inside of a message: the peer cannot tell the next one")
            pieces = [memoryview(header + view)] if len(view) <= _JOIN_BYTES else [memoryview(header), view]
            while pieces:
                _drop(pieces, self._write_some(pieces, deadline_ns))
            self._is_torn = False
        finally:
            self._send_lock.release()

    def _receive(self, maxlength: int | None, deadline_ns: int | None) -> bytes:
        _take(self._recv_lock, deadline_ns)
        try:
            incoming = self._incoming
            while (message := incoming.take()) is None:
                data = self._read_some(min(incoming.missing_bytes, _READ_BYTES), deadline_ns)
                if not data:
                    raise OSError("got end of file during message") if incoming.has_begun else EOFError
                incoming.feed(data)
                size = incoming.size_bytes
                if maxlength is not None and size is not None and size > maxlength:
                    incoming.drop()
                    raise OSError(f"bad message length: {size}, and {maxlength} are allowed; the message is dropped")
            return message
        finally:
            self._recv_lock.release()

    def _write_some(self, pieces: list[memoryview], deadline_ns: int | None) -> int:
        """Writes a part of the pieces, in one call: a peer that waits is woken once.

        Waits, before it has written anything of a message, for the peer to read; who is interrupted there has not torn
        it. An exception after the call, which a signal handler raised, may hide how much was written.
        """
        is_begun = self._is_torn
        if is_begun and deadline_ns is None:
            return os.writev(self.fileno(), pieces)
        if self._socket is None:
            self._wait_for(select.POLLOUT, deadline_ns)
            self._is_torn = True
            if deadline_ns is None:
                return os.writev(self.fileno(), pieces)
            # A pipe that poll() calls writable takes this much without blocking.
            return os.write(self.fileno(), pieces[0][: select.PIPE_BUF])
        while True:
            try:
                self._is_torn = True
                return self._socket.sendmsg(pieces, (), socket.MSG_DONTWAIT)
            except BlockingIOError:
                self._is_torn = is_begun
                self._wait_for(select.POLLOUT, deadline_ns)

    def _read_some(self, size: int, deadline_ns: int | None) -> bytes:
        """Reads up to `size` bytes; waits until there is one; nothing at the end."""
        if deadline_ns is None:
            return os.read(self.fileno(), size)
        while True:
            self._wait_for(select.POLLIN, deadline_ns)
            if self._socket is None:
                return os.read(self.fileno(), size)
            try:
                return self._socket.recv(size, socket.MSG_DONTWAIT)
            except BlockingIOError:  # another process that shares the socket took it
                continue

    def _wait_for(self, events: int, deadline_ns: int | None) -> None:
        poller = select.poll()
        poller.register(self.fileno(), events)
        seconds = seconds_until(deadline_ns)
        if not poller.poll(None if seconds is None else math.ceil(seconds * 1000)):
            raise TimedOut("the timeout passed before the peer did its part")


def reduce_connection(conn: Any) -> tuple[Any, ...]:
    """Returns what to pickle in place of a connection, as copyreg wants it."""
    reduced: tuple[Any, ...] = conn.__reduce__()
    return reduced


def rebuild_connection(df: Source, readable: bool, writable: bool) -> SocketConnection:
    """Makes a connection of what `reduce_connection` returned in another process.

    Raises:
        HandleExpired: The process that sent it has ended.
    """
    return SocketConnection(fetch(df), readable, writable)


def _drop(pieces: list[memoryview], count: int) -> None:
    """Drops as many bytes from the beginning."""
    while pieces and count >= len(pieces[0]):
        count -= len(pieces.pop(0))
    if count:
        pieces[0] = pieces[0][count:]


def _take(lock: Any, deadline_ns: int | None) -> None:
    seconds = seconds_until(deadline_ns)
    if not lock.acquire(timeout=-1 if seconds is None else seconds):
        raise TimedOut("the timeout passed while another thread used the connection")


__all__ = ["SocketConnection", "rebuild_connection", "reduce_connection"]
