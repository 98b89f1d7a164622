"""What one writes by hand: arrays in slots of multiprocessing's shared_memory, and two semaphores that count them.

For arrays of float64 of one size, from one producer to one consumer. The consumer gets a view that is valid until it
asks for the next, which is the fastest thing to do and the least safe. A killed process hangs the other.
"""

import multiprocessing
import platform
from importlib import import_module
from multiprocessing.shared_memory import SharedMemory
from typing import Any, ClassVar

from interproc.bench.peers.peer import Consumer, Link, Offer, Peer, Producer, Traffic, get_one, put_each

WAITING_MESSAGES = 8


class Slots(Link):
    """A ring of slots. Made before the fork."""

    def __init__(self, traffic: Traffic) -> None:
        context = multiprocessing.get_context("fork")
        self._slot_bytes = traffic.message_bytes
        self._slot_count = traffic.capacity or WAITING_MESSAGES
        self._memory = SharedMemory(create=True, size=self._slot_bytes * self._slot_count)
        self._memory.unlink()  # the workers inherit the mapping, and a killed trial leaves no name behind
        self._free = context.Semaphore(self._slot_count)
        self._filled = context.Semaphore(0)

    def producer(self) -> Producer:
        """Copies each array into the next slot."""
        numpy: Any = import_module("numpy")
        slots = self._arrays()
        free, filled = self._free.acquire, self._filled.release
        index = 0

        def put(item: Any) -> None:
            nonlocal index
            free()
            numpy.copyto(slots[index], item)
            filled()
            index = (index + 1) % len(slots)

        return Producer(put, put_each(put))

    def consumer(self, index: int) -> Consumer:
        """Views the slots one after the other."""
        slots = self._arrays()
        free, filled = self._free.release, self._filled.acquire
        next_index = 0
        has_one = False

        def get() -> Any:
            nonlocal next_index, has_one
            if has_one:
                free()
            filled()
            has_one = True
            slot = slots[next_index]
            next_index = (next_index + 1) % len(slots)
            return slot

        return Consumer(get, get_one(get))

    def _arrays(self) -> list[Any]:
        numpy: Any = import_module("numpy")
        shape = (self._slot_count, self._slot_bytes // 8)
        return list(numpy.ndarray(shape, numpy.float64, self._memory.buf))


class ByHand(Peer):
    """Nobody's library."""

    name = "by hand"
    module = "multiprocessing.shared_memory"
    offers: ClassVar[frozenset[Offer]] = frozenset({"array queue"})

    def load(self) -> str:
        """Returns the version of Python."""
        return f"Python {platform.python_version()}"

    def queue(self, traffic: Traffic) -> Link:
        """Makes slots."""
        return Slots(traffic)

    def churn(self) -> None:
        """Makes slots for eight ints and drops them."""
        Slots(Traffic())
