"""Idle: what consumers cost that wait for messages which never come."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Literal

from interproc.bench.crew import Crew
from interproc.bench.peers import Link, Peer, Traffic
from interproc.bench.trial import Sample
from interproc.bench.units import CORE_SHARE, Unit

SETTLE_S = 0.3


@dataclass(frozen=True)
class Idle:
    """`consumers` processes wait in `get` of one queue and are watched for `count` seconds."""

    consumers: int
    needs: Literal["queue"] = "queue"
    unit: Unit = CORE_SHARE
    first_count: int = 1

    def measure(self, peer: Peer, count: int) -> Sample:
        """Returns the share of one core that all of them used together."""
        link = peer.queue(Traffic(consumers=self.consumers))
        with Crew([partial(_waiting, link, index) for index in range(self.consumers)]) as crew:
            crew.begin()
            time.sleep(SETTLE_S)
            used_s, start_s = _cpu_s(crew.pids), time.perf_counter()
            time.sleep(count)
            elapsed_s = time.perf_counter() - start_s
            return Sample((_cpu_s(crew.pids) - used_s) / elapsed_s, elapsed_s)


def _waiting(link: Link, index: int) -> Callable[[], object]:
    return link.consumer(index).get


def _cpu_s(pids: Sequence[int]) -> float:
    """The processor time that the processes have used, all their threads together."""
    return sum(time.clock_gettime(_cpu_clock(pid)) for pid in pids)


def _cpu_clock(pid: int) -> int:
    """What Linux' clock_getcpuclockid() returns: the complement of the pid, and the kind of clock in the low bits."""
    scheduled_time = 2
    return (~pid << 3) | scheduled_time
