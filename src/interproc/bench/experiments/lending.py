"""Lending: arrays that are made in the queue's own memory, where a library lends it."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import repeat
from typing import Any, Literal

from interproc.bench.crew import run_together
from interproc.bench.payloads import FEWEST_WAITING
from interproc.bench.peers import Link, Peer, Traffic
from interproc.bench.trial import Sample
from interproc.bench.units import MESSAGES_PER_SECOND, Unit

ITEM_BYTES = 8


@dataclass(frozen=True)
class Lending:
    """`count` arrays of float64 are made, get their first item, and are put; a consumer takes them.

    Where nothing is lent they are made by `numpy.empty`. Timed from the producer's start to the consumer's end.
    """

    message_bytes: int
    needs: Literal["array queue"] = "array queue"
    unit: Unit = MESSAGES_PER_SECOND
    first_count: int = 4

    def measure(self, peer: Peer, count: int) -> Sample:
        """Returns how many arrays a second went through."""
        link = peer.queue(Traffic(self.message_bytes, capacity=FEWEST_WAITING))
        producing, consuming = run_together([partial(self._producing, link, count), partial(_consuming, link, count)])
        elapsed_s = consuming.end_s - producing.start_s
        return Sample(count / elapsed_s, elapsed_s)

    def _producing(self, link: Link, count: int) -> Callable[[], None]:
        import numpy

        producer = link.producer()
        put: Callable[[Any], object] = producer.put
        make = producer.lend or numpy.empty
        items = self.message_bytes // ITEM_BYTES

        def produce() -> None:
            for _ in repeat(None, count):
                array = make(items)
                array[0] = 1.0
                put(array)

        put(make(items))
        return produce


def _consuming(link: Link, count: int) -> Callable[[], None]:
    get = link.consumer(0).get
    get()

    def consume() -> None:
        for _ in repeat(None, count):
            get()

    return consume
