"""Target: what interproc's figure in a row is held against. Nothing depends on it but the printed verdict."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from interproc.bench.results import CANDIDATE, RowResult
from interproc.bench.units import Unit


class Target(Protocol):
    """A bound on interproc's figure."""

    @property
    def text(self) -> str:
        """How it reads in the table."""
        ...

    def is_met(self, result: RowResult, earlier: Mapping[str, RowResult]) -> bool | None:
        """Whether it is met, None if that was not measured. `earlier` has the results of the rows before, by key."""
        ...


@dataclass(frozen=True)
class TimesBetter:
    """At least so many times better than multiprocessing."""

    times: float

    @property
    def text(self) -> str:
        """How it reads in the table."""
        return f"{self.times:g}x"

    def is_met(self, result: RowResult, earlier: Mapping[str, RowResult]) -> bool | None:
        """Compares the ratio."""
        ratio = result.ratio(CANDIDATE)
        return None if ratio is None else ratio >= self.times


@dataclass(frozen=True)
class TimesTheTime:
    """At most so many times what multiprocessing takes."""

    times: float

    @property
    def text(self) -> str:
        """How it reads in the table."""
        return f"≤ {self.times:g}x its time"

    def is_met(self, result: RowResult, earlier: Mapping[str, RowResult]) -> bool | None:
        """Compares the ratio."""
        ratio = result.ratio(CANDIDATE)
        return None if ratio is None else ratio * self.times >= 1


@dataclass(frozen=True)
class AtMost:
    """A figure of its own that must not be exceeded."""

    limit: float
    unit: Unit

    @property
    def text(self) -> str:
        """How it reads in the table."""
        return f"≤ {self.unit.text(self.limit)}"

    def is_met(self, result: RowResult, earlier: Mapping[str, RowResult]) -> bool | None:
        """Compares the figure."""
        value = result.median(CANDIDATE)
        return None if value is None else value <= self.limit


@dataclass(frozen=True)
class ShareOfRow:
    """At least such a share of interproc's own figure in an earlier row."""

    share: float
    key: str

    @property
    def text(self) -> str:
        """How it reads in the table."""
        return f"≥ {self.share:.2g}x {self.key}"

    def is_met(self, result: RowResult, earlier: Mapping[str, RowResult]) -> bool | None:
        """Compares both figures."""
        value = result.median(CANDIDATE)
        other = earlier[self.key].median(CANDIDATE) if self.key in earlier else None
        return None if value is None or other is None else value >= self.share * other


@dataclass(frozen=True)
class Both:
    """Two bounds at once."""

    first: Target
    second: Target

    @property
    def text(self) -> str:
        """How it reads in the table."""
        return f"{self.first.text}, {self.second.text}"

    def is_met(self, result: RowResult, earlier: Mapping[str, RowResult]) -> bool | None:
        """Missed where one is; without a verdict where that depends on one that was not measured."""
        verdicts = {target.is_met(result, earlier) for target in (self.first, self.second)}
        return False if False in verdicts else None if None in verdicts else True


@dataclass(frozen=True)
class LikeRow:
    """At most so many times interproc's own figure in an earlier row."""

    times: float
    key: str

    @property
    def text(self) -> str:
        """How it reads in the table."""
        return f"≤ {self.times:g}x {self.key}"

    def is_met(self, result: RowResult, earlier: Mapping[str, RowResult]) -> bool | None:
        """Compares both figures."""
        value = result.median(CANDIDATE)
        other = earlier[self.key].median(CANDIDATE) if self.key in earlier else None
        return None if value is None or other is None else value <= self.times * other
