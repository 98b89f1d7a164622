"""What is paid once: the import, and the start of a process."""

import subprocess
import sys
from dataclasses import dataclass
from itertools import repeat
from statistics import median
from time import perf_counter
from typing import Literal

from interproc.bench.peers import Peer
from interproc.bench.trial import Sample
from interproc.bench.units import SECONDS, Unit


@dataclass(frozen=True)
class Importing:
    """`count` pairs of fresh interpreters, one that imports the library and one that does not, in turn."""

    needs: Literal["import"] = "import"
    unit: Unit = SECONDS
    first_count: int = 2

    def measure(self, peer: Peer, count: int) -> Sample:
        """Returns by how much the import lengthens the life of an interpreter: the difference of the medians."""
        bare_s, importing_s = [], []
        for _ in range(count):
            bare_s.append(_run_s("pass"))
            importing_s.append(_run_s(f"import {peer.module}"))
        return Sample(median(importing_s) - median(bare_s), sum(bare_s) + sum(importing_s))


def _run_s(code: str) -> float:
    start_s = perf_counter()
    subprocess.run([sys.executable, "-c", code], check=True)
    return perf_counter() - start_s


@dataclass(frozen=True)
class Starting:
    """`count` processes that do nothing are started and joined, one after the other."""

    method: str
    needs: Literal["process"] = "process"
    unit: Unit = SECONDS
    first_count: int = 2

    def measure(self, peer: Peer, count: int) -> Sample:
        """Returns the time of one. The first, which starts the helpers that some methods need, does not count."""
        peer.start_and_join(self.method)
        start_s = perf_counter()
        for _ in repeat(None, count):
            peer.start_and_join(self.method)
        elapsed_s = perf_counter() - start_s
        return Sample(elapsed_s / count, elapsed_s)
