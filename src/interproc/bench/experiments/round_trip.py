"""RoundTrip: an int there and back between two processes."""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import repeat
from time import perf_counter, sleep
from typing import Literal

from interproc.bench.crew import run_together
from interproc.bench.payloads import INT
from interproc.bench.peers import Duplex, Peer, Traffic
from interproc.bench.peers.peer import TwoLinks
from interproc.bench.trial import Sample
from interproc.bench.units import SECONDS, Unit

SLEEP_S = 0.002  # long enough for everybody to have stopped spinning and fallen asleep
WARM_UP_COUNT = 20
PERCENTILES = {"p50": 0.50, "p99": 0.99, "p99.9": 0.999}

Mode = Literal["busy", "asleep", "distribution"]


@dataclass(frozen=True)
class RoundTrip:
    """`count` round trips: the mean, or with `distribution` the median and the further percentiles.

    `asleep` lets both sides fall asleep before each; only the trip is timed.
    """

    needs: Literal["queue", "pipe"]
    mode: Mode = "busy"
    one_core: bool = False

    @property
    def unit(self) -> Unit:
        """Time of one round trip."""
        return SECONDS

    @property
    def first_count(self) -> int:
        """Few: one may take a millisecond."""
        return 64

    def measure(self, peer: Peer, count: int) -> Sample:
        """Plays `count` rounds."""
        if self.one_core:
            os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
        traffic = Traffic()
        duplex = TwoLinks(peer.queue(traffic), peer.queue(traffic)) if self.needs == "queue" else peer.pipe(traffic)
        near, _ = run_together([partial(self._near, duplex, count), partial(_far, duplex, count)])
        elapsed_s = near.end_s - near.start_s
        if self.mode == "busy":
            return Sample(elapsed_s / count, elapsed_s)
        trips_s = near.result
        if self.mode == "asleep":
            return Sample(sum(trips_s) / count, elapsed_s)
        details = percentiles(trips_s)
        return Sample(details["p50"], elapsed_s, details)

    def _near(self, duplex: Duplex, count: int) -> Callable[[], Sequence[float]]:
        producer, consumer = duplex.near()
        put, get = producer.put, consumer.get
        item = INT.make()
        for _ in range(WARM_UP_COUNT):
            put(item)
            get()

        def play() -> Sequence[float]:
            for each in repeat(item, count):
                put(each)
                get()
            return ()

        def play_and_record() -> Sequence[float]:
            pause_s = SLEEP_S if self.mode == "asleep" else 0.0
            trips_s = []
            for each in repeat(item, count):
                if pause_s:
                    sleep(pause_s)
                start_s = perf_counter()
                put(each)
                get()
                trips_s.append(perf_counter() - start_s)
            return trips_s

        return play if self.mode == "busy" else play_and_record


def _far(duplex: Duplex, count: int) -> Callable[[], Sequence[float]]:
    producer, consumer = duplex.far()
    put, get = producer.put, consumer.get
    for _ in range(WARM_UP_COUNT):
        put(get())

    def play() -> Sequence[float]:
        for _ in repeat(None, count):
            put(get())
        return ()

    return play


def percentiles(values: Sequence[float]) -> dict[str, float]:
    """The values that the named shares of all do not exceed."""
    ordered = sorted(values)
    return {name: ordered[min(len(ordered) - 1, int(share * len(ordered)))] for name, share in PERCENTILES.items()}
