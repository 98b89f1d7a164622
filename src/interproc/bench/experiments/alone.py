"""What one process can do alone: put and get, pile up, come to rest after a burst, create, copy."""

import mmap
from dataclasses import dataclass
from itertools import repeat
from pathlib import Path
from time import perf_counter, sleep
from typing import Literal

from interproc.bench.payloads import INT, KIB, Payload
from interproc.bench.peers import Peer, Traffic
from interproc.bench.trial import Sample
from interproc.bench.units import BYTES, BYTES_PER_SECOND, SECONDS, Unit

REST_S = 1.0


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
class Burst:
    """`count` large messages are put before the first is taken; then all are taken, and dropped.

    What counts as resident is all memory of the process, its part of what it shares included, a second later, beyond
    what it had before.
    """

    payload: Payload
    needs: Literal["queue"] = "queue"
    unit: Unit = BYTES
    first_count: int = 1

    def measure(self, peer: Peer, count: int) -> Sample:
        """Returns the bytes that are still resident."""
        link = peer.queue(Traffic(message_bytes=self.payload.message_bytes, backlog=count))
        consumer = link.consumer(0)
        put, get = link.producer().put, consumer.get
        item = self.payload.make()
        put(item)
        get()
        before_bytes, start_s = _resident_bytes(), perf_counter()
        for each in repeat(item, count):
            put(each)
        for _ in repeat(None, count):
            get()
        sleep(REST_S)
        return Sample(max(0, _resident_bytes() - before_bytes), perf_counter() - start_s)


def _resident_bytes() -> int:
    """What this process has in memory: its own, and its part of what it shares."""
    fields = dict(line.split(":", 1) for line in Path("/proc/self/smaps_rollup").read_text().splitlines()[1:])
    return KIB * int(fields["Pss"].split()[0])


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


@dataclass(frozen=True)
class OneCopy:
    """`count` times: memory is copied into other memory, once. Nothing that copies a message can be faster."""

    size_bytes: int
    needs: Literal["pipe"] = "pipe"
    unit: Unit = BYTES_PER_SECOND
    first_count: int = 16

    def measure(self, peer: Peer, count: int) -> Sample:
        """Returns how many bytes a second were copied; the peer does nothing."""
        source = b"x" * self.size_bytes
        target = memoryview(bytearray(self.size_bytes))
        target[:] = source
        start_s = perf_counter()
        for each in repeat(source, count):
            target[:] = each
        elapsed_s = perf_counter() - start_s
        return Sample(count * self.size_bytes / elapsed_s, elapsed_s)
