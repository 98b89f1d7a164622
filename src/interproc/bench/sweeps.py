"""Sweeps: rows along one variable, for the plots."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

from interproc.bench.experiments import Flow, RoundTrip
from interproc.bench.payloads import INT, KIB, MIB, array_of, bytes_of
from interproc.bench.rows import Row
from interproc.bench.targets import TimesBetter
from interproc.bench.units import BYTES_PER_SECOND

ARRAY_SIZES_BYTES = (
    KIB,
    4 * KIB,
    16 * KIB,
    64 * KIB,
    256 * KIB,
    MIB,
    4 * MIB,
    16 * MIB,
    64 * MIB,
    256 * MIB,
    1024 * MIB,
)
QUICK_BYTES = 64 * MIB
SIZES_BYTES = (8, 64, 512, 4096, 32_768, 262_144, 2 * MIB, 16 * MIB, 64 * MIB)
WORKERS = (1, 2, 4, 8, 16)

Kind = Literal["sizes", "workers", "latency"]


@dataclass(frozen=True)
class Sweep:
    """One plot's worth of rows."""

    key: str
    kind: Kind
    title: str
    points: Sequence[tuple[float, Row]]
    """The variable's values and what to measure at each."""

    @property
    def quick(self) -> "Sweep":
        """Without the sizes that take gigabytes and minutes."""
        return replace(self, points=[(x, row) for x, row in self.points if x <= QUICK_BYTES])


def _sizes(link: Literal["queue", "pipe"], title: str) -> Sweep:
    def row(size: int) -> Row:
        return Row(f"{link}-{size}", f"{title}, {size} bytes", Flow(bytes_of(size), link, unit=BYTES_PER_SECOND))

    return Sweep(f"sizes-{link}", "sizes", title, [(size, row(size)) for size in SIZES_BYTES])


def _arrays() -> Sweep:
    def row(size: int) -> Row:
        experiment = Flow(array_of(size), "array queue", unit=BYTES_PER_SECOND)
        return Row(f"array-{size}", f"Queue, ndarrays, {size} bytes", experiment, TimesBetter(1))

    return Sweep("sizes-arrays", "sizes", "Queue, ndarrays", [(size, row(size)) for size in ARRAY_SIZES_BYTES])


def _workers(title: str) -> Sweep:
    def row(workers: int) -> Row:
        return Row(f"workers-{workers}", f"{title}, N={workers}", Flow(INT, workers=workers))

    return Sweep("workers", "workers", title, [(workers, row(workers)) for workers in WORKERS])


def _latency(link: Literal["queue", "pipe"], title: str) -> Sweep:
    row = Row(f"latency-{link}", title, RoundTrip(link, "distribution"))
    return Sweep(row.key, "latency", title, [(1, row)])


SWEEPS: tuple[Sweep, ...] = (
    _sizes("queue", "Queue, bytes"),
    _sizes("pipe", "Pipe, send_bytes"),
    _arrays(),
    _workers("Queue, ints, N producers and N consumers"),
    _latency("queue", "Queue round trip"),
    _latency("pipe", "Pipe round trip"),
)
