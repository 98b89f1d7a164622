"""Server: what runs in a manager's process.

It speaks two protocols over one address. The standard library's, for its proxies and for XML-RPC, is the base class's.
Clients of interproc introduce themselves and open sessions; see `client`. What a client held, the server forgets when
the client's first connection ends, however that comes.
"""

from __future__ import annotations

import multiprocessing.managers
import os
import queue
import sys
import threading
import traceback
from collections.abc import Callable, Mapping
from contextlib import closing, suppress
from itertools import count
from multiprocessing.managers import Token
from multiprocessing.process import current_process, parent_process
from types import TracebackType
from typing import Any

from interproc import connection, outcomes
from interproc.connection import Pipe
from interproc.handshake import HandshakeFailed
from interproc.managing.changes import Changes, place_of
from interproc.managing.client import Reply, authentication_string, memory_offer, send_fds
from interproc.managing.holdings import Holdings, Peer
from interproc.managing.referents import KINDS, Shape, holds, lent_elements, method_of, place_of_element, shape_of
from interproc.state import state

listener_client: dict[str, tuple[Any, Any]] = {
    "pickle": (connection.Listener, connection.Client),
    "xmlrpclib": (connection.XmlListener, connection.XmlClient),
}

_BACKLOG = 128
_STANDARD_FOLDER = os.path.dirname(threading.__file__)
_PAUSE_SECONDS = 0.1  # after a failure to accept, as for want of descriptors
_SERVED = "#SERVED"  # the result of a request that was answered while it was served
_NOTHING: Mapping[str, Any] = {}
_Standard: Any = multiprocessing.managers.Server
_RLock = type(threading.RLock())


class Loan:
    """Elements of a container that a client got, kept so that it can change them.

    Attributes:
        elements: The elements themselves, by their positions.
        place: Where changes of them are noted, which is their container's.
    """

    def __init__(self, elements: list[Any], place: int) -> None:
        self.elements = elements
        self.place = place


class Server(_Standard):  # type: ignore[misc]
    """Keeps shared objects, and calls their methods for clients.

    Args:
        registry: The types that it can make, as managers register them.
        address: Where to listen; None for a new Unix socket.
        authkey: What clients have to know.
        serializer: "pickle" or "xmlrpclib".
    """

    public = (*_Standard.public, "introduce", "open_session")
    for_sessions: tuple[str, ...] = (
        *("debug_info", "dummy", "get_methods", "hold", "make", "number", "number_of_objects"),
    )

    def __init__(self, registry: Mapping[str, Any], address: Any, authkey: bytes, serializer: str) -> None:
        if not isinstance(authkey, bytes):
            raise TypeError(f"Authkey {authkey!r} is type {type(authkey)!s}, not bytes")
        self.registry = registry
        self.authkey = authentication_string(authkey)
        make_listener, _ = listener_client[serializer]
        self.listener = make_listener(address=address, backlog=_BACKLOG, authkey=authkey)
        self.address = self.listener.address
        self.id_to_obj: dict[str, Any] = {"0": (None, ())}
        self.id_to_refcount: dict[str, int] = {}
        self.id_to_local_proxy_obj: dict[str, Any] = {}
        self.mutex = threading.Lock()
        self.stop_event = threading.Event()
        self._changes = Changes()
        self._peers: dict[bytes, Peer] = {}
        self._holdings = Holdings()
        self._loans: dict[int, Loan] = {}
        self._numbers = count(1)

    def serve_forever(self) -> None:
        """Serves until `shutdown`, then ends the process.

        Ends by itself when the process that started this one has ended and nobody is left who knows this manager.
        """
        current_process()._manager_server = self  # type: ignore[attr-defined]
        threading.Thread(target=self.accepter, daemon=True).start()
        parent = parent_process()
        try:
            if parent is not None:
                threading.Thread(target=self._outlive, args=(parent,), daemon=True).start()
            self.stop_event.wait()
        except (KeyboardInterrupt, SystemExit):
            pass
        finally:
            if sys.stdout != sys.__stdout__:
                sys.stdout = sys.__stdout__
                sys.stderr = sys.__stderr__
            sys.exit(0)

    def accepter(self) -> None:
        """Gives each connection a thread."""
        while not self.stop_event.is_set():
            try:
                accepted = self.listener.accept()
            except HandshakeFailed:  # somebody who does not know the key
                continue
            except OSError:
                self.stop_event.wait(_PAUSE_SECONDS)
                continue
            threading.Thread(target=self.handle_request, args=(accepted,), daemon=True).start()

    def handle_request(self, conn: Any) -> None:
        """Serves a connection: answers its one request, or serves the client that the request introduces."""
        with closing(conn):
            try:
                _, name, args, kwds = conn.recv()
                if name not in self.public:
                    raise AttributeError(f"{name!r} unrecognized")
                reply: Reply = "#RETURN", getattr(self, name)(conn, *args, **kwds)
            except Exception:
                reply = "#TRACEBACK", traceback.format_exc()
            if reply[1] is not _SERVED:
                with suppress(OSError):  # the client is gone
                    conn.send(reply)

    # --- requests to the server itself -------------------------------------------------------------------------------

    def introduce(self, c: Any, name: bytes, pid: int, offer: object) -> str:
        """Keeps a client process's first connection, and forgets the client when that ends."""
        shares_memory = offer is not None and offer == memory_offer(c)
        peer = self._peers[name] = Peer(pid, is_this=shares_memory and pid == os.getpid())
        was_killed = True
        try:
            c.send(("#RETURN", (os.getpid(), shares_memory)))
            if shares_memory:
                send_fds(c, [self._changes.fd])
            while True:
                c.recv()  # its good-bye
                was_killed = False
        except (EOFError, OSError):
            pass
        finally:
            del self._peers[name]
            self._forget(peer, was_killed)
        return _SERVED

    def open_session(self, c: Any, name: bytes, thread_name: str, wants_memory: bool) -> str:
        """Serves one thread of a client that has introduced itself."""
        peer = self._peers[name]
        threading.current_thread().name = thread_name
        if not wants_memory:
            c.send(("#RETURN", None))
            self._serve(c, peer)
            return _SERVED
        ours, theirs = Pipe()
        with ours:
            with theirs:
                state.remember(theirs.segment)
                c.send(("#RETURN", (theirs.segment.uuid, theirs.side)))
                send_fds(c, [theirs.segment.fileno(), theirs.read_fd, theirs.write_fd])
                with suppress(EOFError, OSError):
                    c.recv()  # the client has the pipe
            c.close()
            self._serve(ours, peer)
        return _SERVED

    def accept_connection(self, c: Any, name: str) -> str:
        """Serves one thread of a client of the standard library's."""
        threading.current_thread().name = name
        c.send(("#RETURN", None))
        self._serve(c, None)
        return _SERVED

    def shutdown(self, c: Any) -> str:
        """Ends the server."""
        try:
            c.send(("#RETURN", None))
        finally:
            self.stop_event.set()
        return _SERVED

    # --- sessions ----------------------------------------------------------------------------------------------------

    def _serve(self, session: Any, peer: Peer | None) -> None:
        """Answers requests until the session ends. Without a peer, in the standard library's manner."""
        receive, send = session.recv, session.send
        while not self.stop_event.is_set():
            request: Any
            try:
                request = receive()
            except EOFError:
                break
            except Exception:  # an argument cannot be made anew here, unless the session is lost and send fails too
                kind: str = "#TRACEBACK"
                result: Any = traceback.format_exc()
                ident, name = None, ""
            else:
                if (
                    peer is not None and type(request) is tuple
                ):  # the short form, which needs no pickle for the most part
                    request = request[0], request[1], request[2:]
                kind, result = self._answer(peer, *request)
                ident, name = request[:2]
                del request
            if kind == "#ERROR" and peer is not None:
                result = outcomes.pack(result, with_traceback=_says_something(result.__traceback__))
            try:
                send((kind, result))
            except OSError:
                self._take_back(peer, ident, name, kind, result)
                break
            except Exception:
                send(("#UNSERIALIZABLE", traceback.format_exc()))
            del result
        self._release_locks()

    def _take_back(self, peer: Peer | None, ident: Any, name: str, kind: str, result: Any) -> None:
        """Puts an item back into its queue, or releases a lock, that was got for a call that nobody waits for."""
        obj = self.id_to_obj[ident][0] if ident in self.id_to_obj else None
        if kind == "#RETURN" and name in ("get", "get_nowait") and type(obj) is queue.Queue:
            with obj.mutex:
                obj.queue.appendleft(result)
                obj.not_empty.notify()
        elif name == "acquire" and peer is not None and (result is True or kind == "#ABANDONED"):
            self._holdings.call(peer, ident, obj, "release", (), {})

    def _answer(
        self,
        peer: Peer | None,
        ident: Any,
        name: str,
        args: Any,
        kwds: Mapping[str, Any] = _NOTHING,
        dropped: tuple[Any, ...] = (),
    ) -> Reply:
        try:
            if peer is not None:
                for held in dropped:
                    self._drop(peer, held)
                if ident is None:
                    return "#RETURN", self._serve_itself(peer, name, args, kwds)
                if type(ident) is int:
                    return self._call_element(peer, ident, name, args, kwds)
            return self._call(peer, ident, name, args, kwds)
        except Exception:
            return "#TRACEBACK", traceback.format_exc()

    def _serve_itself(self, peer: Peer, name: str, args: Any, kwds: Any) -> Any:
        if name not in self.for_sessions:
            raise AttributeError(f"{name!r} unrecognized")
        return getattr(self, name)(peer, *args, **kwds)

    def hold(self, peer: Peer, ident: str) -> None:
        """Counts a proxy of the client's."""
        self.incref(None, ident)
        with peer.lock:
            peer.references[ident] += 1

    def make(self, peer: Peer | None, typeid: str, /, *args: Any, **kwds: Any) -> Any:
        """Makes a shared object that the client holds; returns its identity and its methods."""
        ident, exposed = self.create(None, typeid, *args, **kwds)
        if peer is not None:
            with peer.lock:
                peer.references[ident] += 1
        return ident, exposed

    def number(self, peer: Peer, place: int) -> int:
        """How far the changes at a place have come."""
        return self._changes.number(place)

    def _call(self, peer: Peer | None, ident: str, name: str, args: Any, kwds: Any) -> Reply:
        entry = self.id_to_obj.get(ident) or self.id_to_local_proxy_obj[ident]
        obj, exposed, method_to_typeid = entry
        method = method_of(obj, name) if name in exposed else None
        if method is None:
            return "#RETURN", self._fall_back(ident, obj, exposed, name, args, kwds)
        kind = KINDS.get(type(obj))
        try:
            if kind is None:
                held = None if peer is None else self._holdings.call(peer, ident, obj, name, args, kwds)
                if held is not None:
                    return ("#RETURN", held[0]) if held[1] is None else ("#ABANDONED", held)
                result, seen = method(*args, **kwds), 0
            elif name in kind.reads:
                seen = self._changes.number(place_of(ident))
                result = method(*args, **kwds)
            else:
                result, _, seen = self._change(place_of(ident), method, args, kwds)
        except Exception as error:
            return "#ERROR", error
        if method_to_typeid and name in method_to_typeid:
            typeid = method_to_typeid[name]
            made, made_exposed = self.make(peer, typeid, result)
            return "#PROXY", (made_exposed, Token(typeid, self.address, made))
        if kind is None or name not in kind.lends or peer is None:
            return "#RETURN", result
        return self._lend(peer, place_of(ident), seen, result, shape_of(kind, name, args))

    def _fall_back(self, ident: str, obj: Any, exposed: Any, name: str, args: Any, kwds: Any) -> Any:
        if name == "#HOLDS":
            key, element = args
            number, position = place_of_element(element)
            loan = self._loans.get(number)
            return loan is not None and holds(obj, key, loan.elements[position])
        fallback = self.fallback_mapping.get(name)
        if fallback is None:
            reason = "does not exist" if name in exposed else f"is not in exposed={sorted(exposed)}"
            raise AttributeError(f"method {name!r} of {type(obj)!r} object {reason}")
        return fallback(self, None, ident, obj, *args, **kwds)

    def _change(self, place: int, method: Callable[..., Any], args: Any, kwds: Any) -> tuple[Any, int, int]:
        """Calls a method that changes a container, alone; also returns the numbers before and after."""
        with self._changes.locks[place]:
            before = self._changes.number(place)
            try:
                result = method(*args, **kwds)
            finally:  # what raises may have changed something before
                after = self._changes.note(place)
        return result, before, after

    # --- loans -------------------------------------------------------------------------------------------------------

    def _lend(self, peer: Peer, place: int, seen: int, result: Any, shape: Shape) -> Reply:
        result, elements = lent_elements(result, shape)
        if not elements:
            return "#RETURN", result
        number = next(self._numbers)
        self._loans[number] = Loan(elements, place)
        peer.loans.add(number)
        return "#LOAN", (number, place, seen, shape, result)

    def _call_element(self, peer: Peer, ident: int, name: str, args: Any, kwds: Any) -> Reply:
        """Calls a method of a lent element. A change is answered with the numbers before and after it."""
        number, position = place_of_element(ident)
        loan = self._loans.get(number)
        if loan is None:
            gone = "the process that got this element has let go of it: get it from its container again"
            return "#ERROR", LookupError(gone)
        element = loan.elements[position]
        if name == "#GETVALUE":
            return "#RETURN", element
        kind = KINDS[type(element)]
        method = method_of(element, name)
        if method is None:
            raise AttributeError(f"method {name!r} of {type(element)!r} object does not exist")
        before = seen = self._changes.number(loan.place)
        try:
            if name in kind.reads:
                result = method(*args, **kwds)
            else:
                result, before, seen = self._change(loan.place, method, args, kwds)
        except Exception as error:
            return "#ERROR", error
        if name in kind.lends:
            return self._lend(peer, loan.place, seen, result, shape_of(kind, name, args))
        if name in kind.reads:
            return "#RETURN", result
        return "#CHANGED", (None if result is element else result, before, seen)

    # --- what clients let go -----------------------------------------------------------------------------------------

    def _drop(self, peer: Peer, held: Any) -> None:
        with peer.lock:
            if isinstance(held, int):
                peer.loans.discard(held)
                self._loans.pop(held, None)
                return
            if peer.references[held] <= 0:
                return
            peer.references[held] -= 1
        self.decref(None, held)

    def _forget(self, peer: Peer, was_killed: bool) -> None:
        self._holdings.forget(peer, was_killed, lambda ident: self.id_to_obj.get(ident, (None,))[0])
        for held in [*peer.loans, *peer.references.elements()]:
            self._drop(peer, held)

    def _release_locks(self) -> None:
        """Releases the RLocks that this thread holds for the thread of a client, which has ended."""
        for obj, *_ in list(self.id_to_obj.values()):
            lock = obj._lock if isinstance(obj, threading.Condition) else obj  # type: ignore[attr-defined]
            while isinstance(lock, _RLock) and lock._is_owned():  # type: ignore[attr-defined]
                lock.release()

    def _outlive(self, parent: Any) -> None:
        """Ends the server once its parent has ended and the last client with it."""
        parent.join()
        while any(not peer.is_this for peer in list(self._peers.values())):
            self.stop_event.wait(_PAUSE_SECONDS)
        self.stop_event.set()


def _says_something(trace: TracebackType | None) -> bool:
    """Whether a traceback leads beyond this file and the standard library's, like into a user's class."""
    while trace is not None:
        file = trace.tb_frame.f_code.co_filename
        if file != __file__ and os.path.dirname(file) != _STANDARD_FOLDER:
            return True
        trace = trace.tb_next
    return False


__all__ = ["Server", "listener_client"]
