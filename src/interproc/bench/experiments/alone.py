"""What one process can do alone: put and get, pile up, create, copy."""

import mmap
from dataclasses import dataclass
from itertools import repeat
from time import perf_counter
from typing import Literal

from interproc.bench.payloads import INT
from interproc.bench.peers import Peer, Traffic
from interproc.bench.trial import Sample
from interproc.bench.units import BYTES_PER_SECOND, SECONDS, Unit


@dataclass(frozen=True)
class PutGet:
    """`count` times: put an int, get it."""

    needs: Literal["queue", "simple_queue"]
    unit: Unit = SECONDS
    first_count: int = 64

    def measure(self, peer: Peer, count: int) -> Sample:
        """Returns the time of one put and get."""
        link = peer.queue(Traffic()) if self.needs == "queue" else peer.simple_queue(Traffic())
        consumer = link.consumer(0)
        put, get = link.producer().put, consumer.get
        item = INT.make()
        put(item)
        get()
        start_s = perf_counter()
        for each in repeat(item, count):
            put(each)
            get()
        elapsed_s = perf_counter() - start_s
        return Sample(elapsed_s / count, elapsed_s)


@dataclass(frozen=True)
class Backlog:
    """`count` ints are put before the first is taken."""

    needs: Literal["queue"] = "queue"
    unit: Unit = SECONDS
    first_count: int = 64

    def measure(self, peer: Peer, count: int) -> Sample:
        """Returns the time of both for one message."""
        link = peer.queue(Traffic(backlog=count))
        consumer = link.consumer(0)
        put, get = link.producer().put, consumer.get
        item = INT.make()
        start_s = perf_counter()
        for each in repeat(item, count):
            put(each)
        for _ in repeat(None, count):
            get()
        elapsed_s = perf_counter() - start_s
        return Sample(elapsed_s / count, elapsed_s)


@dataclass(frozen=True)
class Creation:
    """`count` queues are made and dropped, one after the other."""

    needs: Literal["queue"] = "queue"
    unit: Unit = SECONDS
    first_count: int = 16

    def measure(self, peer: Peer, count: int) -> Sample:
        """Returns the time of one."""
        churn = peer.churn
        churn()
        start_s = perf_counter()
        for _ in repeat(None, count):
            churn()
        elapsed_s = perf_counter() - start_s
        return Sample(elapsed_s / count, elapsed_s)


@dataclass(frozen=True)
class Copying:
    """`count` times: bytes are copied into shared memory and out again, with no library and no other process.

    No transfer of bytes objects can be faster than this on one core.
    """

    size_bytes: int
    needs: Literal["pipe"] = "pipe"
    unit: Unit = BYTES_PER_SECOND
    first_count: int = 64

    def measure(self, peer: Peer, count: int) -> Sample:
        """Returns how many bytes a second went both ways; the peer does nothing."""
        data = b"x" * self.size_bytes
        with mmap.mmap(-1, self.size_bytes) as memory:
            memory[:] = data
            start_s = perf_counter()
            for each in repeat(data, count):
                memory[:] = each
                memory[:]
            elapsed_s = perf_counter() - start_s
        return Sample(count * self.size_bytes / elapsed_s, elapsed_s)
