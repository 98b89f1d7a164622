"""Rounds: the trials of one row, interleaved (A B C, A B C, ...), so that a slow minute hits all alike."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial

from interproc.bench.peers import Peer
from interproc.bench.results import Cell, RowResult, Status
from interproc.bench.rows import Row
from interproc.bench.trial import FailedError, HungError, Sample, run_trial

LEAST_GROWTH = 4.0
MOST_GROWTH = 64.0

RunTrial = Callable[[Callable[[], Sample], float], Sample]
Notice = Callable[[str], None]


@dataclass(frozen=True)
class Plan:
    """How much time to spend."""

    rounds: int
    round_s: float
    """What the timed part of a trial should take."""
    limit_s: float
    """When a trial counts as hung."""
    quick: bool


FULL = Plan(rounds=7, round_s=0.3, limit_s=60.0, quick=False)
QUICK = Plan(rounds=3, round_s=0.05, limit_s=30.0, quick=True)


@dataclass(frozen=True)
class Entrant:
    """A peer, and its version here; None if it is not installed."""

    peer: Peer
    version: str | None


def enter(peers: Sequence[Peer]) -> list[Entrant]:
    """Imports the peers that are installed."""
    return [Entrant(peer, _version(peer)) for peer in peers]


def _version(peer: Peer) -> str | None:
    try:
        return peer.load()
    except ImportError:
        return None


@dataclass
class _Run:
    """What one peer has done so far in a row."""

    entrant: Entrant
    count: int = 0
    status: Status = "measured"
    reason: str = ""
    samples: list[Sample] = field(default_factory=list)

    def cell(self) -> Cell:
        if self.status != "measured":
            return Cell(self.status, reason=self.reason)
        names = self.samples[0].details
        details = {name: tuple(sample.details[name] for sample in self.samples) for name in names}
        return Cell("measured", tuple(sample.value for sample in self.samples), details)


class Bench:
    """Measures rows.

    Args:
        entrants: Who takes part.
        plan: How much time to spend.
        notice: Is told what is being measured, before every trial.
        run: Runs a trial.
    """

    def __init__(
        self, entrants: Sequence[Entrant], plan: Plan, notice: Notice = lambda text: None, run: RunTrial = run_trial
    ) -> None:
        self._entrants = entrants
        self._plan = plan
        self._notice = notice
        self._run = run

    def measure(self, row: Row) -> RowResult:
        """Measures one row. A peer that hangs or fails is out of it, with the reason; the others go on."""
        runs = [self._begin(row, entrant) for entrant in self._entrants]
        for run in runs:
            if run.status == "measured":
                self._try(run, partial(self._find_count, row, run))
        for number in range(self._rounds(row)):
            for run in runs:
                if run.status == "measured":
                    self._notice(f"{row.title} · {run.entrant.peer.name} · round {number + 1} of {self._rounds(row)}")
                    self._try(run, partial(self._one_round, row, run))
        return RowResult(row, {run.entrant.peer.name: run.cell() for run in runs})

    def _rounds(self, row: Row) -> int:
        return min(self._plan.rounds, row.fixed.most_rounds) if row.fixed else self._plan.rounds

    def _begin(self, row: Row, entrant: Entrant) -> _Run:
        if row.restriction and entrant.peer.name not in row.restriction.peers:
            return _Run(entrant, status="left out", reason=row.restriction.reason)
        if entrant.version is None:
            return _Run(entrant, status="missing", reason=f"pip install {entrant.peer.name}")
        if row.experiment.needs not in entrant.peer.offers:
            return _Run(entrant, status="not offered", reason=f"has no {row.experiment.needs}")
        return _Run(entrant)

    def _try(self, run: _Run, step: Callable[[], None]) -> None:
        try:
            step()
        except HungError as hung:
            run.status, run.reason = "hung", str(hung)
        except FailedError as failed:
            run.status, run.reason = "failed", str(failed)

    def _one_round(self, row: Row, run: _Run) -> None:
        run.samples.append(self._trial(row, run, run.count))

    def _find_count(self, row: Row, run: _Run) -> None:
        """Finds the count that takes about `round_s`, with trials that count for nothing else.

        A long trial proves little: on a busy machine the start of the workers alone can take that long. So it is enough
        only when it has grown with the count, or is out of all proportion.
        """
        if row.fixed:
            run.count = row.fixed.quick_count if self._plan.quick else row.fixed.count
            return
        self._notice(f"{row.title} · {run.entrant.peer.name} · finding the count")
        round_s = self._plan.round_s
        count = row.experiment.first_count
        before_s, elapsed_s = math.inf, self._trial(row, run, count).elapsed_s
        while elapsed_s < round_s * 4 and (elapsed_s < round_s / 3 or elapsed_s < before_s * 2):
            count = int(count * min(MOST_GROWTH, max(LEAST_GROWTH, round_s / elapsed_s)))
            before_s, elapsed_s = elapsed_s, self._trial(row, run, count).elapsed_s
        run.count = max(1, round(count * round_s / elapsed_s))

    def _trial(self, row: Row, run: _Run, count: int) -> Sample:
        return self._run(partial(row.experiment.measure, run.entrant.peer, count), self._plan.limit_s)
