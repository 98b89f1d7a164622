"""What the child processes of the tests of listeners run."""

from typing import Any

from interproc.connection import Client, Listener


def connect_and_double(address: Any, authkey: bytes | None) -> None:
    """Connects, and answers with twice what comes, until told to end."""
    with Client(address, authkey=authkey) as conn:
        while (message := conn.recv()) is not None:
            conn.send(message * 2)


def accept_and_tell(listener: Listener, results: Any) -> None:
    """Accepts one client on a listener that was inherited, and hands on what it sends."""
    with listener.accept() as conn:
        results.put(conn.recv())


def use_received(queue: Any) -> None:
    """Gets a connection over a socket out of a queue, and answers over it."""
    with queue.get() as conn:
        conn.send(("got", conn.recv()))
