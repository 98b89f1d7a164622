"""Results: what came out of the trials of one row."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from statistics import median
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from interproc.bench.rows import Row

BASELINE = "multiprocessing"
CANDIDATE = "interproc"

Status = Literal["measured", "hung", "failed", "missing", "not offered", "left out"]


@dataclass(frozen=True)
class Cell:
    """One peer's part in one row. Values are in the base of the row's unit, one for each round."""

    status: Status
    values: tuple[float, ...] = ()
    details: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    reason: str = ""
    """Why there are no values."""

    @property
    def median(self) -> float | None:
        """The median of the rounds, None without any."""
        return median(self.values) if self.values else None

    def detail(self, name: str) -> float | None:
        """The median of a further figure, None without."""
        return median(self.details[name]) if name in self.details else None


@dataclass(frozen=True)
class RowResult:
    """All peers' parts in one row, by name."""

    row: "Row"
    cells: Mapping[str, Cell]

    def ratio(self, peer: str) -> float | None:
        """How many times better than multiprocessing: the ratio of the medians, None where one is missing."""
        ours, theirs = self.median(peer), self.median(BASELINE)
        if ours is None or theirs is None:
            return None
        return self.row.experiment.unit.times_better(ours, theirs)

    def median(self, peer: str) -> float | None:
        """The peer's median, None where it has none."""
        cell = self.cells.get(peer)
        return cell.median if cell else None
