"""The lobby of a listener: clients that have connected and have not yet shown that they know the key.

All of them are served at once, so that one which says nothing holds up no other. What they may send, how long they may
take and how many they may be is limited.
"""

from __future__ import annotations

import math
import os
import select
import socket

from interproc import handshake
from interproc.deadlines import deadline_after, seconds_until
from interproc.errors import TimedOut
from interproc.framing import Incoming, header_of
from interproc.handshake import HandshakeFailed

TYPE_CHECKING = False  # without importing typing: see ARCHITECTURE.md on import time
if TYPE_CHECKING:
    from typing import Any, NoReturn

MOST_GUESTS = 128  # more than that, and the one that has been here longest goes


class Lobby:
    """Lets clients in that know the key. Not for several threads at once; a copy in a forked child begins empty.

    Args:
        listening: The listening socket; its descriptor does not block.
        authkey: The key.
        handshake_seconds: How long a client may take.
    """

    def __init__(self, listening: socket.socket, authkey: bytes, handshake_seconds: float) -> None:
        self._listening = listening
        self._authkey = authkey
        self._handshake_seconds = handshake_seconds
        self._guests: dict[int, _Guest] = {}
        self._pid = os.getpid()

    def admit(self, deadline_ns: int | None) -> tuple[socket.socket, Any]:
        """Waits for the next client that knows the key.

        Returns:
            The client's socket, which is the caller's from then on, and its address.

        Raises:
            HandshakeFailed: A client did not show that it does; it is disconnected, and the others are not concerned.
            TimedOut: The deadline has passed; who is in the lobby stays.
        """
        if self._pid != os.getpid():
            self.close()
            self._pid = os.getpid()
        while True:
            ready = self._poll(deadline_ns)
            for fd in ready:
                if fd in self._guests and self._advance(self._guests[fd]):
                    guest = self._guests.pop(fd)
                    return guest.socket, guest.address
            if self._listening.fileno() in ready:
                self._welcome()
            self._turn_out_the_late()
            if seconds_until(deadline_ns) == 0:
                raise TimedOut("no client that knows the key connected within the timeout")

    def close(self) -> None:
        """Disconnects all who wait."""
        for guest in self._guests.values():
            guest.socket.close()
        self._guests.clear()

    def _poll(self, deadline_ns: int | None) -> list[int]:
        if self._listening.fileno() < 0:  # another thread has closed it
            self.close()
            raise OSError("listener is closed")
        poller = select.poll()
        poller.register(self._listening.fileno(), select.POLLIN)
        for fd, guest in self._guests.items():
            poller.register(fd, guest.awaited_events)
        deadlines = [guest.deadline_ns for guest in self._guests.values()]
        seconds = seconds_until(min([*deadlines, deadline_ns] if deadline_ns is not None else deadlines, default=None))
        return [fd for fd, _ in poller.poll(None if seconds is None else math.ceil(seconds * 1000))]

    def _welcome(self) -> None:
        try:
            client, address = self._listening.accept()
        except (BlockingIOError, ConnectionAbortedError):  # another process was faster, or the client has left
            return
        client.setblocking(False)
        self._guests[client.fileno()] = _Guest(client, address, self._authkey, self._handshake_seconds)
        if len(self._guests) > MOST_GUESTS:
            self._turn_out(next(iter(self._guests.values())), f"more than {MOST_GUESTS} others came before it was done")

    def _advance(self, guest: _Guest) -> bool:
        try:
            return guest.advance()
        except (handshake.AuthenticationError, OSError) as error:
            self._turn_out(guest, str(error), error)

    def _turn_out_the_late(self) -> None:
        for guest in self._guests.values():
            if seconds_until(guest.deadline_ns) == 0:
                self._turn_out(guest, f"it took longer than {self._handshake_seconds} s")

    def _turn_out(self, guest: _Guest, why: str, cause: Exception | None = None) -> NoReturn:
        del self._guests[guest.socket.fileno()]
        guest.socket.close()
        client = f"the client at {guest.address!r}" if guest.address else "a client"
        raise HandshakeFailed(f"{client} was turned away: {why}") from cause


class _Guest:
    """A client whose handshake is under way."""

    def __init__(self, client: socket.socket, address: Any, authkey: bytes, handshake_seconds: float) -> None:
        self.socket = client
        self.address = address
        self.deadline_ns = deadline_after(handshake_seconds) or 0
        self._steps = handshake.server_steps(authkey)
        self._outgoing = b""
        self._incoming = Incoming()
        self._is_done = False
        self._failure: handshake.AuthenticationError | None = None
        self._go_on(None)

    @property
    def awaited_events(self) -> int:
        """What to poll for."""
        return select.POLLOUT if self._outgoing else select.POLLIN

    def advance(self) -> bool:
        """Goes on as far as it can without waiting, and tells whether the client has shown that it knows the key.

        Raises:
            AuthenticationError: It does not.
            OSError: It left, or sends something else.
        """
        try:
            while True:
                while self._outgoing:
                    self._outgoing = self._outgoing[self.socket.send(self._outgoing) :]
                if self._failure is not None:
                    raise self._failure
                if self._is_done:
                    self.socket.setblocking(True)
                    return True
                message = self._receive()
                if message is not None:
                    self._go_on(message)
        except BlockingIOError:
            return False

    def _go_on(self, message: bytes | None) -> None:
        """Takes the steps up to the one that waits for a message."""
        try:
            step = next(self._steps) if message is None else self._steps.send(message)
            while step is not None:
                self._outgoing += header_of(len(step)) + step
                step = next(self._steps)
        except StopIteration:
            self._is_done = True
        except handshake.AuthenticationError as error:  # to be raised once the client has been told
            self._failure = error

    def _receive(self) -> bytes | None:
        """A message, if it has come whole."""
        incoming = self._incoming
        size = incoming.size_bytes
        if size is not None and size > handshake.MAX_MESSAGE_BYTES:
            raise OSError(
                f"it announced a message of {size} bytes, and a handshake has none above"
                f" {handshake.MAX_MESSAGE_BYTES}; is it a multiprocessing program?"
            )
        message = incoming.take()
        if message is None:
            data = self.socket.recv(incoming.missing_bytes)
            if not data:
                raise OSError("it closed the connection before it was done")
            incoming.feed(data)
        return message


__all__ = ["Lobby"]
