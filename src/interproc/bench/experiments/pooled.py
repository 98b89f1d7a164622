"""Pools: what a task costs."""

from collections.abc import Sequence
from dataclasses import dataclass
from time import perf_counter
from typing import Any, Literal

from interproc.bench.payloads import Payload
from interproc.bench.peers import Peer
from interproc.bench.trial import Sample
from interproc.bench.units import SECONDS, Unit

WARM_UP_COUNT = 200
ARRAY_WARM_UP_COUNT = 4
WORKER_COUNT = 2


@dataclass(frozen=True)
class Pooled:
    """A pool of two workers applies a function to `count` items, one in each task.

    Args:
        method: Whether values come in the order of the items, or as soon as they are there.
        payload: The item, the same in each task; None for different ints.
    """

    method: Literal["map", "imap_unordered"]
    payload: Payload | None = None
    needs: Literal["pool"] = "pool"
    unit: Unit = SECONDS
    first_count: int = 16

    def measure(self, peer: Peer, count: int) -> Sample:
        """Returns the time of one task."""
        with peer.pool(WORKER_COUNT) as workers:
            run = workers.map if self.method == "map" else workers.imap_unordered
            run(take, self._items(ARRAY_WARM_UP_COUNT if self.payload else WARM_UP_COUNT))
            items = self._items(count)
            start_s = perf_counter()
            values = run(take, items)
            elapsed_s = perf_counter() - start_s
        if len(values) != count:
            raise AssertionError(f"{len(values)} values came of {count} tasks")
        return Sample(elapsed_s / count, elapsed_s)

    def _items(self, count: int) -> Sequence[Any]:
        return range(count) if self.payload is None else [self.payload.make()] * count


def take(item: Any) -> int:
    """What each task does: next to nothing."""
    return item if isinstance(item, int) else len(item)
