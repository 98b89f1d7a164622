"""faster-fifo: one byte buffer of fixed size, a mutex and condition variables, in C++."""

from functools import partial
from importlib import import_module
from typing import Any, ClassVar

from interproc.bench.peers.peer import Consumer, Link, Offer, Peer, Producer, Traffic

DEFAULT_BUFFER_BYTES = 1_000_000
HEADER_BYTES = 64  # its own and pickle's, generously
WAITING_MESSAGES = 8


class FifoLink(Link):
    """A faster-fifo queue."""

    def __init__(self, queue: Any) -> None:
        self._queue = queue

    def producer(self) -> Producer:
        """Uses the inherited queue."""
        return Producer(self._queue.put, self._queue.put_many)

    def consumer(self, index: int) -> Consumer:
        """Uses the inherited queue."""
        return Consumer(self._queue.get, partial(_get_many, self._queue.get_many))


def _get_many(get_many: Any, max_items: int) -> Any:
    return get_many(max_messages_to_get=max_items)


class FasterFifo(Peer):
    """The faster-fifo package. It has no pipes."""

    name = "faster-fifo"
    module = "faster_fifo"
    offers: ClassVar[frozenset[Offer]] = frozenset({"queue", "array queue", "fan out", "import"})

    def queue(self, traffic: Traffic) -> Link:
        """Makes a queue with room for what has to wait in it."""
        waiting = max(traffic.backlog, traffic.capacity or WAITING_MESSAGES)
        buffer_bytes = max(DEFAULT_BUFFER_BYTES, (waiting + 1) * (traffic.message_bytes + HEADER_BYTES))
        return FifoLink(import_module(self.module).Queue(max_size_bytes=buffer_bytes))

    def churn(self) -> None:
        """Makes a queue of the default size and drops it."""
        import_module(self.module).Queue()
