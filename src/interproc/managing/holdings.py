"""Peer, Holdings: what the clients of a manager hold, and what becomes of it when they end.

A killed client's `Lock` goes to the next, who is warned, and its permits go back to a `BoundedSemaphore`. Those of a
plain `Semaphore` may be meant as signals and stay taken, like all of a client that ends in an orderly way. What is
acquired for a client that was killed while it waited goes back whatever it is. RLocks belong to the server's threads.
"""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from typing import Any

_LOCK = type(threading.Lock())
_KINDS = frozenset({_LOCK, threading.Semaphore, threading.BoundedSemaphore})


class Peer:
    """What one client process holds in the server.

    Attributes:
        is_this: Whether it is the server's own process.
        pid: Of the process.
        has_ended: Whether it was forgotten.
        lock: Guards what follows.
        references: How many proxies it has for each shared object.
        loans: The loans that it has not given back.
    """

    def __init__(self, pid: int, is_this: bool) -> None:
        self.is_this = is_this
        self.pid = pid
        self.has_ended = False
        self.lock = threading.Lock()
        self.references: Counter[str] = Counter()
        self.loans: set[int] = set()


class Holdings:
    """The locks and permits that peers hold, by the identities of their locks and semaphores."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._holders: dict[str, list[Peer]] = {}
        self._abandoned: dict[str, int] = {}

    def call(self, peer: Peer, ident: str, obj: Any, name: str, args: Any, kwds: Any) -> tuple[Any, int | None] | None:
        """Calls a method of a shared object, if it is one that takes or gives a lock; returns None if not.

        Returns:
            The method's result; and the process that was killed while it held what is acquired, None if none was.
        """
        if type(obj) not in _KINDS:
            return None
        if name == "acquire":
            return self._acquire(peer, ident, obj, args, kwds)
        if name == "release":
            return self._release(peer, ident, obj, args, kwds), None
        return None

    def _acquire(self, peer: Peer, ident: str, obj: Any, args: Any, kwds: Any) -> tuple[Any, int | None]:
        if not obj.acquire(*args, **kwds):
            return False, None
        with self._guard:
            if not peer.has_ended:
                self._holders.setdefault(ident, []).append(peer)
                return True, self._abandoned.pop(ident, None)
        obj.release()
        return False, None

    def _release(self, peer: Peer, ident: str, obj: Any, args: Any, kwds: Any) -> Any:
        holder = self._pop(peer, ident)  # before others can acquire it
        try:
            return obj.release(*args, **kwds)
        except BaseException:
            if holder is not None:
                with self._guard:
                    self._holders.setdefault(ident, []).append(holder)
            raise

    def _pop(self, peer: Peer, ident: str) -> Peer | None:
        with self._guard:
            holders = self._holders.get(ident)
            if not holders:
                return None
            holder = holders.pop(holders.index(peer) if peer in holders else -1)
            if not holders:
                del self._holders[ident]
            return holder

    def forget(self, peer: Peer, was_killed: bool, find: Callable[[str], Any]) -> None:
        """Gives back what a peer held that has ended.

        Args:
            was_killed: Whether it ended without saying so.
            find: Finds a lock by its identity.
        """
        with self._guard:
            peer.has_ended = True
            held = {ident: holders.count(peer) for ident, holders in self._holders.items() if peer in holders}
            for ident in held:
                self._holders[ident] = [holder for holder in self._holders[ident] if holder is not peer]
                if was_killed:
                    self._give_back(peer, ident, find(ident), held[ident])

    def _give_back(self, peer: Peer, ident: str, obj: Any, times: int) -> None:
        if type(obj) is _LOCK:
            self._abandoned[ident] = peer.pid
            obj.release()
        elif type(obj) is threading.BoundedSemaphore:
            obj.release(times)


__all__ = ["Holdings", "Peer"]
