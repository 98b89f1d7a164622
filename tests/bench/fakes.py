"""Peers, experiments and runners that measure nothing, for tests of what is made of measurements."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from interproc.bench.peers import Link, Peer, Traffic
from interproc.bench.results import Cell, RowResult
from interproc.bench.rounds import Entrant, Plan
from interproc.bench.rows import Row
from interproc.bench.targets import Target
from interproc.bench.trial import Sample
from interproc.bench.units import MESSAGES_PER_SECOND, Unit

PLAN = Plan(rounds=3, round_s=1.0, limit_s=5.0, quick=False)


class FakePeer(Peer):
    """A library that offers queues only."""

    module = "nothing_of_this_name"
    offers = frozenset({"queue"})

    def __init__(self, name: str) -> None:
        self.name = name  # type: ignore[misc]

    def queue(self, traffic: Traffic) -> Link:
        raise AssertionError("nobody makes a queue here")

    def churn(self) -> None:
        raise AssertionError("nobody makes a queue here")


@dataclass(frozen=True)
class FakeExperiment:
    """Tells its runner who is asked, and how much."""

    needs: Literal["queue", "pipe"] = "queue"
    unit: Unit = MESSAGES_PER_SECOND
    first_count: int = 10

    def measure(self, peer: Peer, count: int) -> Sample:
        raise AssertionError("the runner does not call this")


@dataclass
class FakeRunner:
    """Runs no trial but answers from a rate for each peer; an exception instead of a rate is raised.

    Every trial takes `overhead_s` besides.
    """

    rates: dict[str, float | Exception]
    overhead_s: float = 0.0
    trials: list[tuple[str, int]] = field(default_factory=list)

    def __call__(self, work: Callable[[], Sample], limit_s: float) -> Sample:
        assert limit_s == PLAN.limit_s
        arguments: Sequence[Any] = work.args  # type: ignore[attr-defined]
        peer, count = arguments
        self.trials.append((peer.name, count))
        rate = self.rates[peer.name]
        if isinstance(rate, Exception):
            raise rate
        return Sample(rate, self.overhead_s + count / rate)


def entrants(*names: str) -> list[Entrant]:
    """Peers that are installed."""
    return [Entrant(FakePeer(name), "1.0") for name in names]


def result(
    values: dict[str, Sequence[float]],
    unit: Unit = MESSAGES_PER_SECOND,
    target: Target | None = None,
    key: str = "some",
) -> RowResult:
    """What a row came to."""
    row = Row(key, "some work", FakeExperiment(unit=unit), target)
    return RowResult(row, {name: Cell("measured", tuple(each)) for name, each in values.items()})
