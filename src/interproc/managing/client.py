"""Client: what a process has of one manager, and all its proxies share.

A first connection, a socket, introduces the process and stays open: when the kernel closes it, the manager forgets
what the process held. Each thread has a session beside it, which is a pipe in shared memory where the manager is a
process of this machine, and a socket elsewhere. A forked child begins anew.
"""

from __future__ import annotations

import multiprocessing.managers
import multiprocessing.process
import os
import socket
import threading
from collections.abc import Mapping
from contextlib import suppress
from multiprocessing import AuthenticationError
from multiprocessing.managers import RemoteError
from multiprocessing.process import current_process
from typing import Any
from weakref import WeakSet, WeakValueDictionary

from interproc import _core, handles, outcomes, reduction
from interproc.connection import Client as connect
from interproc.connection import Connection
from interproc.managing.changes import ChangesSeen
from interproc.managing.errors import ManagerDied
from interproc.util import Finalize

Address = Any
Reply = tuple[str, Any]

_standard: Any = multiprocessing.managers  # typeshed leaves these out
authentication_string: Any = multiprocessing.process.AuthenticationString  # type: ignore[attr-defined]  # this too
dispatch = _standard.dispatch

_LOST = (FileNotFoundError, ConnectionError, EOFError)
_NOTHING: Mapping[str, Any] = {}
_LATE = -100  # after whatever else a process does with the manager at its end
_MEMORY_FDS = 1
_PIPE_FDS = 3


class NotOurs(Exception):
    """The manager at an address is the standard library's."""


class Client:
    """A process's way to one manager.

    Attributes:
        address: Where the manager listens.
        pid: The manager's process.
        adopted: For each thread, `ident`: what the manager counts already of the proxy that is being made.
        lock: Guards what threads share of the elements that they got from the manager; taken anew after a fork.
        is_inherited: Whether this process got it by fork, and must not use it.
    """

    def __init__(self, address: Address, authkey: bytes) -> None:
        """Introduces this process to the manager.

        Raises:
            NotOurs: It is one of the standard library.
            OSError: Nobody listens there.
            HandshakeFailed: The key is wrong.
        """
        self.address = address
        self.lock = threading.RLock()
        self.is_inherited = False
        self.adopted = threading.local()
        self._authkey = authkey
        self._name = os.urandom(16)
        self._dropped: list[Any] = []
        self._own = threading.local()
        self._idle: WeakSet[_Idle] = WeakSet()
        self._changes: ChangesSeen | None = None
        self._introduction = connect(address, authkey=authkey)
        try:
            self.pid = self._introduce()
        except BaseException:
            self._introduction.close()
            raise
        self._say_goodbye = Finalize(self, _say_goodbye, (self._introduction,), exitpriority=_LATE)

    def _introduce(self) -> int:
        offer = memory_offer(self._introduction)
        kind, result = _ask(self._introduction, "introduce", self._name, os.getpid(), offer)
        if kind != "#RETURN":
            raise NotOurs(result)
        pid, shares_memory = result
        if shares_memory:
            (fd,) = _receive_fds(self._introduction, _MEMORY_FDS)
            try:
                self._changes = ChangesSeen(fd)
            finally:
                os.close(fd)
        return int(pid)

    def call(self, ident: Any, name: str, args: tuple[Any, ...] = (), kwds: Mapping[str, Any] = _NOTHING) -> Reply:
        """Calls a method of a shared object, or with None one of the server, and returns the kind of reply and it.

        Blocks until the manager has answered. An exception of the method comes back as its reply. A call that is
        interrupted goes on in the manager; a queue's item or a lock that it gets goes back.

        Raises:
            ManagerDied: The manager has ended.
            UnsendableError: An argument cannot be sent.
        """
        try:
            idle = self._own.idle
        except AttributeError:
            idle = self._own.idle = _Idle()
            self._idle.add(idle)
        # Taken out while in use: a signal handler or a finalizer that calls meanwhile uses another.
        try:
            session = idle.pop()
        except IndexError:
            session = self._open()
        dropped = self._take_dropped() if self._dropped else ()
        is_sent = False
        try:
            session.send([ident, name, args, kwds, dropped] if kwds or dropped else (ident, name, *args))
            is_sent = True
            reply: Reply = session.recv()
        except (EOFError, OSError) as error:
            session.close()
            if self.is_alive():
                raise  # it is an error of the arguments' pickling, or of the result's
            raise self._died() from error
        except Exception:  # this too, and it leaves the session in step
            if not is_sent:
                self._dropped.extend(dropped)
            idle.append(session)
            raise
        except BaseException:
            session.close()
            raise
        idle.append(session)
        return reply

    def ask(self, name: str, /, *args: Any, **kwds: Any) -> Any:
        """Calls a method of the server and returns its result.

        Raises:
            RemoteError: The method failed; holds the text.
            ManagerDied: The manager has ended.
        """
        return result_of(*self.call(None, name, args, kwds))

    def drop(self, held: Any) -> None:
        """Says that this process no longer needs an object or a loan. Sent with the next call; safe in finalizers."""
        self._dropped.append(held)

    def number(self, place: int) -> int:
        """How far the changes at a place have come."""
        if self._changes is not None:
            return self._changes.number(place)
        return int(self.ask("number", place))

    def close(self) -> None:
        """Closes what no thread is using just now; the manager then forgets what this process held."""
        for idle in list(self._idle):
            with suppress(IndexError):
                while True:
                    idle.pop().close()
        self._say_goodbye()
        self._introduction.close()
        self._changes = None

    def abandon(self) -> None:
        """In a forked child: closes the copies of what is the parent's."""
        self.is_inherited = True
        self.lock = threading.RLock()
        self.close()

    def _take_dropped(self) -> tuple[Any, ...]:
        dropped = []
        with suppress(IndexError):
            while True:
                dropped.append(self._dropped.pop())
        return tuple(dropped)

    def _open(self) -> Any:
        try:
            connection = connect(self.address, authkey=self._authkey)
        except _LOST as error:
            raise _unless_refused(error, self._died()) from error
        try:
            kind, result = _ask(connection, "open_session", self._name, _name_of_thread(), self._changes is not None)
            if kind != "#RETURN":  # another manager, to which this process is unknown
                raise EOFError(result)
            if result is None:
                return connection
            session = _receive_pipe(connection, *result)
            connection.send(None)  # and not only closed: a child that was just forked may have a copy
        except _LOST as error:
            connection.close()
            raise self._died() from error
        except BaseException:
            connection.close()
            raise
        connection.close()
        return session

    def is_alive(self) -> bool:
        """Whether the manager that this process introduced itself to answers. Once it does not, it is forgotten."""
        try:
            self._open().close()
        except (OSError, EOFError):
            return False
        return True

    def _died(self) -> ManagerDied:
        clients.forget(self)
        return died(self.address, self.pid)


class _Idle(list[Any]):
    """The sessions that a thread has and is not using; ends with the thread."""

    __hash__ = object.__hash__  # type: ignore[assignment]  # to be known weakly by the client


class Clients:
    """The managers that this process knows, by their addresses. They live as long as something uses them."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._known: WeakValueDictionary[Address, Client] = WeakValueDictionary()
        self._standard: set[Address] = set()
        os.register_at_fork(after_in_child=self._reset)

    def get(self, address: Address, authkey: bytes) -> Client:
        """Returns the client of the manager at an address, the first time a new one.

        Raises:
            NotOurs: The manager is one of the standard library.
            ManagerDied: Nobody listens there.
            HandshakeFailed: The key is wrong.
        """
        client = self._known.get(address)
        if client is not None:
            return client
        if address in self._standard:
            raise NotOurs(address)
        try:
            client = Client(address, authkey)
        except NotOurs:
            self._standard.add(address)
            raise
        except _LOST as error:
            raise _unless_refused(error, died(address)) from error
        with self._lock:
            return self._known.setdefault(address, client)

    def check(self, address: Address) -> None:
        """Forgets the manager that was at an address, if that has ended."""
        client = self._known.get(address)
        if client is not None:
            client.is_alive()

    def close(self, address: Address) -> None:
        """Closes the client of the manager at an address, if there is one."""
        client = self._known.pop(address, None)
        if client is not None:
            client.close()

    def forget(self, client: Client) -> None:
        """Lets the address have a new client; this one's manager has ended."""
        with self._lock:
            if self._known.get(client.address) is client:
                del self._known[client.address]

    def _reset(self) -> None:
        self._lock = threading.Lock()
        inherited = list(self._known.values())
        self._known = WeakValueDictionary()
        for client in inherited:
            client.abandon()


clients = Clients()


def died(address: Address, pid: int | None = None) -> ManagerDied:
    """The error for a manager that is not there any more."""
    process = "" if pid is None else f" (process {pid})"
    return ManagerDied(
        f"the manager at {address!r}{process} has ended, and what it kept is gone with it; start another one and share"
        " anew",
        pid,
    )


def _unless_refused(error: BaseException, otherwise: BaseException) -> BaseException:
    """The error of a failure to connect, which is the handshake's own where the manager lives but the key is wrong."""
    return error if isinstance(error.__cause__, AuthenticationError) else otherwise


def result_of(kind: str, result: Any) -> Any:
    """Returns a reply's result, or raises what it stands for."""
    if kind == "#RETURN":
        return result
    try:
        raise error_of(kind, result)
    finally:
        del result  # the exception's traceback leads here


def error_of(kind: str, result: Any) -> BaseException:
    """The exception that a reply stands for."""
    if kind == "#ERROR":
        error = outcomes.unpack(result)
        return RemoteError(f"{error}\n") if isinstance(error, outcomes.RemoteError) else error
    if kind == "#UNSERIALIZABLE":
        return RemoteError(f"Unserializable message: {result}\n")
    if kind == "#TRACEBACK":
        return RemoteError(result)
    return ValueError(f"Unrecognized message type {kind!r}")


def memory_offer(connection: Any) -> tuple[int, int] | None:
    """What both sides of a connection have to have in common to share memory; None where they cannot."""
    with socket.socket(fileno=os.dup(connection.fileno())) as same:
        if same.family != socket.AF_UNIX:
            return None
    return os.stat("/proc/self/ns/pid").st_ino, _core.layout_version


def send_fds(connection: Any, fds: list[int]) -> None:
    """Sends descriptors over a connection that is a Unix socket."""
    with socket.socket(fileno=os.dup(connection.fileno())) as same:
        reduction.sendfds(same, fds)


def _receive_fds(connection: Any, count: int) -> list[int]:
    with socket.socket(fileno=os.dup(connection.fileno())) as same:
        return list(reduction.recvfds(same, count))


def _receive_pipe(connection: Any, uuid: bytes, side: int) -> Connection:
    segment_fd, read_fd, write_fd = _receive_fds(connection, _PIPE_FDS)
    try:
        segment = handles.open_segment(uuid, _Received(segment_fd))
        make: Any = Connection
        session: Connection = make(segment, side, read_fd, write_fd)
        return session
    except BaseException:
        os.close(read_fd)
        os.close(write_fd)
        raise


class _Received:
    """A descriptor that has arrived already."""

    def __init__(self, fd: int) -> None:
        self._fd = fd

    def detach(self) -> int:
        return self._fd


def _say_goodbye(introduction: Any) -> None:
    """Lets the manager know that this process ends in an orderly way, and leaves locked what it has locked."""
    with suppress(OSError):
        introduction.send(None)


def _ask(connection: Any, name: str, *args: Any) -> Reply:
    connection.send((None, name, args, {}))
    reply: Reply = connection.recv()
    return reply


def _name_of_thread() -> str:
    thread = threading.current_thread()
    process = current_process().name
    return process if thread is threading.main_thread() else f"{process}|{thread.name}"


__all__ = [
    "Address",
    "Client",
    "NotOurs",
    "authentication_string",
    "clients",
    "died",
    "dispatch",
    "error_of",
    "memory_offer",
    "result_of",
    "send_fds",
]
