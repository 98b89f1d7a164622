"""What it costs to ask another process: a manager for an item, a pool for a result."""

import os
from collections.abc import Callable
from dataclasses import dataclass
from itertools import repeat
from time import perf_counter
from typing import Any, Literal

from interproc.bench.peers import Peer
from interproc.bench.trial import Sample
from interproc.bench.units import SECONDS, Unit

WARM_UP_COUNT = 200


@dataclass(frozen=True)
class Managed:
    """`count` times: an item of a manager's dict is set and read, or a dict is made there and dropped."""

    operation: Literal["set and get", "create"]
    one_core: bool = False
    needs: Literal["context"] = "context"
    unit: Unit = SECONDS
    first_count: int = 64

    def measure(self, peer: Peer, count: int) -> Sample:
        """Returns the time of one of them; of one call, where two are made."""
        if self.one_core:
            os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
        context: Any = peer.context()
        with context.Manager() as manager:
            run, calls = (_set_and_get(manager), 2) if self.operation == "set and get" else (_create(manager), 1)
            run(WARM_UP_COUNT)
            start_s = perf_counter()
            run(count)
            elapsed_s = perf_counter() - start_s
        return Sample(elapsed_s / count / calls, elapsed_s)


def _set_and_get(manager: Any) -> Callable[[int], None]:
    shared = manager.dict()

    def run(count: int) -> None:
        for number in range(count):
            shared["key"] = number
            shared["key"]

    return run


def _create(manager: Any) -> Callable[[int], None]:
    def run(count: int) -> None:
        for _ in repeat(None, count):
            manager.dict()

    return run
