"""Listeners, which wait at an address for clients, and the clients.

The wire format and the handshake are the standard library's, so either side may be a program that uses that.
"""

from __future__ import annotations

import errno
import math
import multiprocessing.connection
import os
import select
import socket
import stat
import struct
import threading
from multiprocessing.util import is_abstract_socket_namespace
from typing import TYPE_CHECKING, Any, Self

from interproc.addresses import address_type, arbitrary_address, check_family, check_path, default_family
from interproc.deadlines import deadline_after, seconds_until
from interproc.errors import TimedOut
from interproc.handshake import MAX_MESSAGE_BYTES, AuthenticationError, HandshakeFailed, client_steps
from interproc.lobby import Lobby
from interproc.socket_connection import SocketConnection

if TYPE_CHECKING:
    from collections.abc import Callable

    from interproc.addresses import Address
    from interproc.handshake import Steps

_standard: Any = multiprocessing.connection  # typeshed leaves these out
CONNECTION_TIMEOUT: float = _standard.CONNECTION_TIMEOUT
_SECONDS = struct.Struct("@ll")  # struct timeval


class SocketListener(_standard.SocketListener):  # type: ignore[misc]  # typeshed leaves it out
    """A socket that listens at an address, without authentication. `Listener` is what programs use.

    Args:
        address: Where to listen.
        family: The address's family, like "AF_UNIX".
        backlog: How many clients may wait to be accepted.

    Raises:
        OSError: The address cannot be had; says what to do about it.
    """

    _socket: socket.socket
    _last_accepted: Any

    def __init__(self, address: Any, family: str, backlog: int = 1) -> None:
        if family == "AF_UNIX":
            check_path(address)
        try:
            super().__init__(address, family, backlog)
        except socket.gaierror:
            raise
        except OSError as error:
            raise _explained(error, "listen at", address) from None
        os.set_blocking(self._socket.fileno(), False)  # accept() waits with a deadline, and for several at once

    def accept(self, timeout: float | None = None) -> SocketConnection:
        """Waits for the next client.

        Args:
            timeout: Seconds until TimeoutError; None waits for ever.
        """
        deadline_ns = deadline_after(timeout)
        while True:
            self.wait_for_client(deadline_ns)
            try:
                client, address = self._socket.accept()
            except (BlockingIOError, ConnectionAbortedError):  # another process was faster, or the client has left
                continue
            return self.take(client, address)

    def take(self, client: socket.socket, address: Any) -> SocketConnection:
        """Makes a connection of a client's socket."""
        self._last_accepted = address
        client.setblocking(True)
        return SocketConnection(client.detach())

    def wait_for_client(self, deadline_ns: int | None) -> None:
        """Waits until a client has connected."""
        if self._socket.fileno() < 0:
            raise OSError("listener is closed")
        poller = select.poll()
        poller.register(self._socket.fileno(), select.POLLIN)
        seconds = seconds_until(deadline_ns)
        if not poller.poll(None if seconds is None else math.ceil(seconds * 1000)):
            raise TimedOut("no client connected within the timeout")


class Listener(multiprocessing.connection.Listener):
    """Waits at an address for clients to connect.

    Args:
        address: Where to listen: a path, or a tuple of a host and a port, where port 0 lets the system choose; None for
            an address that nobody uses.
        family: "AF_UNIX", "AF_INET" or "AF_INET6"; None to go by the address, or for the fastest.
        backlog: How many clients may wait to be accepted.
        authkey: A secret that clients must know; None lets everybody in who can connect.
        handshake_timeout: How many seconds a client may take to show that it knows the key.

    Raises:
        OSError: The address cannot be had.
        TypeError: The key is not of bytes.
        ValueError: The address or its family is not known.

    Differs: takes IPv6 addresses, and chooses paths that are short enough for a socket wherever TMPDIR is. Clients are
        asked for the key side by side: one that is silent holds up nobody, and is turned away in the end.
    """

    _listener: SocketListener | None

    def __init__(
        self,
        address: Address | None = None,
        family: str | None = None,
        backlog: int = 1,
        authkey: bytes | None = None,
        *,
        handshake_timeout: float = CONNECTION_TIMEOUT,
    ) -> None:
        _check_key(authkey)
        family = family or (address_type(address) if address else default_family)
        check_family(family)
        self._listener = SocketListener(address or arbitrary_address(family), family, backlog)
        self._authkey = authkey
        self._lobby = Lobby(self._listener._socket, authkey, handshake_timeout) if authkey is not None else None
        self._lobby_lock = threading.Lock()
        self._pid = os.getpid()

    def accept(self, timeout: float | None = None) -> SocketConnection:
        """Waits for the next client, and for it to show that it knows the key.

        Blocks until there is one, or the timeout has passed. Any number of threads may wait, and after a fork any
        number of processes; each client goes to one of them. Closing the listener does not wake who waits.

        Args:
            timeout: Seconds until TimeoutError; None waits for ever.

        Returns:
            A connection to the client.

        Raises:
            HandshakeFailed: A client did not know the key, sent something else, was too slow, or left. That is an
                AuthenticationError, EOFError and OSError. The others are not concerned: call again for them.
            OSError: The listener is closed.
            TimeoutError: The timeout passed.
        """
        listener = self._listener
        if listener is None:
            raise OSError("listener is closed")
        if self._lobby is None:
            return listener.accept(timeout)
        if self._pid != os.getpid():  # a thread of the parent may have held the lock while forking
            self._lobby_lock, self._pid = threading.Lock(), os.getpid()
        deadline_ns = deadline_after(timeout)
        if not self._lobby_lock.acquire(timeout=-1 if timeout is None else max(0.0, timeout)):
            raise TimedOut("no client that knows the key connected within the timeout")
        try:
            return listener.take(*self._lobby.admit(deadline_ns))
        finally:
            self._lobby_lock.release()

    def close(self) -> None:
        """Stops listening, and disconnects clients that were not accepted yet. May be called again.

        A path that was listened at is removed. Connections that were accepted stay.
        """
        super().close()
        if self._lobby is not None and self._lobby_lock.acquire(blocking=False):
            try:
                self._lobby.close()
            finally:
                self._lobby_lock.release()

    @property
    def address(self) -> Any:
        """Where it listens, for clients to connect to.

        Raises:
            OSError: The listener is closed.
        """
        return self._open_listener()._address

    @property
    def last_accepted(self) -> Any:
        """The address of the client that was accepted last; None if there was none, or it has no address.

        Raises:
            OSError: The listener is closed.
        """
        return self._open_listener()._last_accepted

    def _open_listener(self) -> SocketListener:
        if self._listener is None:
            raise OSError("listener is closed")
        return self._listener


def SocketClient(address: Any, family: str | None = None, timeout: float | None = None) -> SocketConnection:
    """Connects to an address, without authentication. `Client` is what programs use.

    Args:
        address: The address.
        family: Its family; None to go by the address.
        timeout: Seconds until TimeoutError; None waits as long as the system does.

    Raises:
        OSError: Nobody listens there, or it cannot be reached.
        ValueError: The address or its family is not known.
    """
    family = family or address_type(address)
    check_family(family)
    if family == "AF_UNIX":
        check_path(address)
    with socket.socket(getattr(socket, family)) as client:
        client.setblocking(True)
        _connect(client, address, timeout)
        return SocketConnection(client.detach())


def Client(
    address: Address, family: str | None = None, authkey: bytes | None = None, *, timeout: float | None = None
) -> SocketConnection:
    """Connects to a Listener.

    Blocks until connected, and with a key until the listener's program accepts.

    Args:
        address: The listener's address.
        family: Its family; None to go by the address. A host name that stands for an IPv6 address needs "AF_INET6".
        authkey: The secret; None if the listener asks for none.
        timeout: Seconds until TimeoutError; None waits for ever.

    Returns:
        A connection to whoever accepts.

    Raises:
        HandshakeFailed: The listener did not know the key, or found this one wrong, or left. That is an
            AuthenticationError, EOFError and OSError.
        OSError: Nobody listens there, or it cannot be reached.
        TimeoutError: The timeout passed.
        TypeError: The key is not of bytes.
        ValueError: The address or its family is not known.
    """
    _check_key(authkey)
    deadline_ns = deadline_after(timeout)
    connection = SocketClient(address, family, timeout)
    if authkey is None:
        return connection
    try:
        _drive(connection, client_steps(authkey), deadline_ns)
    except TimedOut:
        connection.close()
        raise TimedOut(f"the listener at {address!r} did not accept within the timeout") from None
    except (AuthenticationError, EOFError, OSError) as error:
        connection.close()
        why = str(error) or "it closed the connection before the handshake was done"
        raise HandshakeFailed(f"no handshake with the listener at {address!r}: {why}") from error
    except BaseException:
        connection.close()
        raise
    return connection


class ConnectionWrapper(_standard.ConnectionWrapper):  # type: ignore[misc]  # typeshed leaves it out
    """A connection whose objects go by functions of the caller's instead of pickle.

    Args:
        conn: The connection, whose other methods are this one's too.
        dumps: Makes bytes of an object.
        loads: Makes an object of bytes.
    """

    def __init__(self, conn: Any, dumps: Callable[[Any], bytes], loads: Callable[[bytes], Any]) -> None:
        super().__init__(conn, dumps, loads)

    def send(self, obj: Any) -> None:
        """Sends what `dumps` makes of an object; blocks while the peer reads too slowly."""
        super().send(obj)

    def recv(self) -> Any:
        """Receives what `loads` makes of a message; blocks until one has come whole."""
        return super().recv()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._conn.close()


class XmlListener(Listener):
    """A Listener whose connections send and receive XML instead of pickles: only data, and safe to receive."""

    def accept(self, timeout: float | None = None) -> ConnectionWrapper:
        """Waits for the next client: see `Listener.accept`.

        Returns:
            A ConnectionWrapper around the connection.
        """
        return ConnectionWrapper(super().accept(timeout), _xml_dumps, _xml_loads)


def XmlClient(
    address: Address, family: str | None = None, authkey: bytes | None = None, *, timeout: float | None = None
) -> ConnectionWrapper:
    """Connects to an XmlListener: see `Client`.

    Returns:
        A ConnectionWrapper around the connection.
    """
    return ConnectionWrapper(Client(address, family, authkey, timeout=timeout), _xml_dumps, _xml_loads)


def _xml_dumps(obj: Any) -> bytes:
    import xmlrpc.client

    return xmlrpc.client.dumps((obj,), allow_none=True).encode()


def _xml_loads(message: bytes) -> Any:
    import xmlrpc.client

    (obj,), _ = xmlrpc.client.loads(message)
    return obj


def _drive(connection: SocketConnection, steps: Steps, deadline_ns: int | None) -> None:
    try:
        step = next(steps)
        while True:
            if step is None:
                step = steps.send(connection.recv_bytes(MAX_MESSAGE_BYTES, timeout=seconds_until(deadline_ns)))
            else:
                connection.send_bytes(step, timeout=seconds_until(deadline_ns))
                step = next(steps)
    except StopIteration:
        return


def _connect(client: socket.socket, address: Any, timeout: float | None) -> None:
    """Connects; the system's own timeout, because a socket that does not block cannot wait for a full backlog."""
    if timeout is not None:
        microseconds = max(1, math.ceil(timeout * 1e6))
        client.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, _SECONDS.pack(*divmod(microseconds, 1_000_000)))
    try:
        client.connect(address)
    except socket.gaierror:
        raise
    except BlockingIOError:
        raise TimedOut(f"nobody at {address!r} took the connection within the timeout") from None
    except OSError as error:
        raise _explained(error, "connect to", address) from None
    if timeout is not None:
        client.setsockopt(socket.SOL_SOCKET, socket.SO_SNDTIMEO, _SECONDS.pack(0, 0))


def _explained(error: OSError, action: str, address: Any) -> OSError:
    """The same error, with the address and what to do about it."""
    hint = ""
    if error.errno == errno.EADDRINUSE and isinstance(address, str):
        is_dead = not is_abstract_socket_namespace(address) and _is_left_socket(address)
        hint = "; nobody listens there any more: remove the file" if is_dead else "; choose another address"
    elif error.errno == errno.ECONNREFUSED:
        hint = "; nobody listens there (any more)"
    elif error.errno == errno.ENOENT:
        hint = "; nobody listens there, or its folder does not exist"
    return OSError(error.errno, f"cannot {action} {address!r}: {error.strerror or error}{hint}")


def _is_left_socket(path: str) -> bool:
    with socket.socket(socket.AF_UNIX) as probe:
        probe.setblocking(False)
        try:
            if not stat.S_ISSOCK(os.stat(path).st_mode):
                return False
            probe.connect(path)
        except ConnectionRefusedError:
            return True
        except OSError:
            return False
    return False


def _check_key(authkey: object) -> None:
    if authkey is not None and not isinstance(authkey, bytes):
        raise TypeError(f"authkey should be a byte string, not {type(authkey).__name__}")


__all__ = [
    "CONNECTION_TIMEOUT",
    "Client",
    "ConnectionWrapper",
    "Listener",
    "SocketClient",
    "SocketListener",
    "XmlClient",
    "XmlListener",
]
