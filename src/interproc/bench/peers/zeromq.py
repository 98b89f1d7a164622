"""pyzmq: PUSH and PULL sockets for queues, PAIR sockets for pipes, over `ipc://`.

A socket must not cross a fork, so each worker opens its own. Addresses are in Linux's abstract namespace: no files.
"""

import os
from functools import partial
from importlib import import_module
from itertools import count
from typing import Any, ClassVar

from interproc.bench.peers.peer import Consumer, Duplex, Link, Offer, Peer, Producer, Traffic, get_one, put_each

RECONNECT_MS = 1  # a producer may connect before its consumer is there
PICKLE_PROTOCOL = 5

_serials = count()


def _new_address() -> str:
    return f"ipc://@interproc-bench-{os.getpid()}-{next(_serials)}"


def _socket(kind: str, traffic: Traffic) -> Any:
    zmq: Any = import_module("zmq")
    socket = zmq.Context.instance().socket(getattr(zmq, kind))
    socket.set_hwm(traffic.capacity)
    socket.setsockopt(zmq.RECONNECT_IVL, RECONNECT_MS)
    return socket


def _producer(socket: Any, raw: bool) -> Producer:
    put = socket.send if raw else partial(socket.send_pyobj, protocol=PICKLE_PROTOCOL)
    return Producer(put, put_each(put))


def _consumer(socket: Any, raw: bool) -> Consumer:
    get = socket.recv if raw else socket.recv_pyobj
    return Consumer(get, get_one(get))


class PushPull(Link):
    """Every producer is connected to every consumer and deals its messages out in turn."""

    def __init__(self, traffic: Traffic) -> None:
        self._traffic = traffic
        self._addresses = [_new_address() for _ in range(traffic.consumers)]

    def producer(self) -> Producer:
        """Connects a PUSH socket to every consumer."""
        socket = _socket("PUSH", self._traffic)
        for address in self._addresses:
            socket.connect(address)
        return _producer(socket, self._traffic.raw)

    def consumer(self, index: int) -> Consumer:
        """Binds a PULL socket."""
        socket = _socket("PULL", self._traffic)
        socket.bind(self._addresses[index])
        return _consumer(socket, self._traffic.raw)


class PairOfSockets(Duplex):
    """Two PAIR sockets."""

    def __init__(self, traffic: Traffic) -> None:
        self._traffic = traffic
        self._address = _new_address()

    def near(self) -> tuple[Producer, Consumer]:
        """Binds."""
        socket = _socket("PAIR", self._traffic)
        socket.bind(self._address)
        return _producer(socket, self._traffic.raw), _consumer(socket, self._traffic.raw)

    def far(self) -> tuple[Producer, Consumer]:
        """Connects."""
        socket = _socket("PAIR", self._traffic)
        socket.connect(self._address)
        return _producer(socket, self._traffic.raw), _consumer(socket, self._traffic.raw)


class ZeroMQ(Peer):
    """The pyzmq package."""

    name = "pyzmq"
    module = "zmq"
    offers: ClassVar[frozenset[Offer]] = frozenset({"queue", "array queue", "pipe", "fan out", "import"})

    def queue(self, traffic: Traffic) -> Link:
        """Names the addresses of a PUSH and PULL pattern."""
        return PushPull(traffic)

    def churn(self) -> None:
        """Opens a connected PUSH and PULL pair and closes both."""
        address = _new_address()
        pull, push = _socket("PULL", Traffic()), _socket("PUSH", Traffic())
        pull.bind(address)
        push.connect(address)
        push.close()
        pull.close()

    def pipe(self, traffic: Traffic) -> Duplex:
        """Names the address of two PAIR sockets."""
        return PairOfSockets(traffic)
