"""Reducers that programs register with multiprocessing or copyreg are honoured, also after the first put."""

import copyreg
import multiprocessing.connection
import socket
from multiprocessing import resource_sharer
from multiprocessing.reduction import ForkingPickler
from typing import Any

import interproc


class Thing:
    """Something that registered reducers replace."""

    def __init__(self, text: str = "by itself") -> None:
        self.text = text


def _by_fork(thing: Thing) -> Any:
    return Thing, ("by ForkingPickler",)


def _by_copyreg(thing: Thing) -> Any:
    return Thing, ("by copyreg",)


def test_later_registrations_are_honoured_at_once() -> None:
    queue: interproc.Queue[Any] = interproc.Queue()
    registered: dict[type, Any] = ForkingPickler._extra_reducers  # type: ignore[attr-defined]

    def text() -> str:
        queue.put([Thing()])
        answer: str = queue.get()[0].text
        return answer

    try:
        assert text() == "by itself"
        copyreg.pickle(Thing, _by_copyreg)
        assert text() == "by copyreg"
        ForkingPickler.register(Thing, _by_fork)
        assert text() == "by ForkingPickler"
        queue.put([Thing(), lambda: 1])
        assert queue.get()[0].text == "by ForkingPickler"
        del registered[Thing]
        assert text() == "by copyreg"
        del copyreg.dispatch_table[Thing]
        assert text() == "by itself"
    finally:
        registered.pop(Thing, None)
        copyreg.dispatch_table.pop(Thing, None)


def test_sockets_and_standard_connections_travel() -> None:
    queue: interproc.Queue[Any] = interproc.Queue()
    left, right = socket.socketpair()
    one, other = multiprocessing.Pipe()
    queue.put({"socket": right, "connection": other})
    received = queue.get()
    received["socket"].send(b"hello")
    received["connection"].send("hello")
    assert left.recv(5) == b"hello"
    assert one.recv() == "hello"
    for closable in (left, right, one, other, *received.values()):
        closable.close()
    resource_sharer.stop(timeout=30)
