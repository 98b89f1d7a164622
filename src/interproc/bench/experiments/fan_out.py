"""Fan-out: every message to every one of several readers."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import repeat
from typing import Literal

from interproc.bench.crew import run_together
from interproc.bench.payloads import Payload
from interproc.bench.peers import Link, Peer, Traffic
from interproc.bench.trial import Sample
from interproc.bench.units import BYTES_PER_SECOND, Unit


@dataclass(frozen=True)
class FanOut:
    """`count` messages, each to all readers; timed from the producer's start to the last reader's end.

    Readers take the messages and do not look into them.
    """

    payload: Payload
    readers: int
    needs: Literal["fan out"] = "fan out"
    unit: Unit = BYTES_PER_SECOND

    @property
    def first_count(self) -> int:
        """Few: each is sent to many."""
        return max(2, self.payload.first_count // self.readers)

    def measure(self, peer: Peer, count: int) -> Sample:
        """Returns how many bytes a second all readers got together."""
        traffic = Traffic(self.payload.message_bytes, capacity=self.payload.capacity, consumers=self.readers)
        link = peer.fan_out(traffic)
        readers = [partial(self._reading, link, count, index) for index in range(self.readers)]
        producing, *reading = run_together([partial(self._producing, link, count), *readers])
        elapsed_s = max(lap.end_s for lap in reading) - producing.start_s
        return Sample(count * self.readers * self.payload.message_bytes / elapsed_s, elapsed_s)

    def _producing(self, link: Link, count: int) -> Callable[[], None]:
        put = link.producer().put
        item = self.payload.make()
        put(item)

        def produce() -> None:
            for each in repeat(item, count):
                put(each)

        return produce

    def _reading(self, link: Link, count: int, index: int) -> Callable[[], None]:
        get = link.consumer(index).get
        get()

        def read() -> None:
            for _ in repeat(None, count):
                get()

        return read
