"""Report: everything that was measured, as one record and as JSON."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from interproc.bench.machine import Machine
from interproc.bench.results import RowResult
from interproc.bench.rounds import Plan
from interproc.bench.sweeps import Sweep

FORMAT = 1


@dataclass(frozen=True)
class SweepResult:
    """A sweep, and what came out at each of its points."""

    sweep: Sweep
    results: Sequence[RowResult]


@dataclass(frozen=True)
class Report:
    """One run of the benchmark."""

    machine: Machine
    versions: Mapping[str, str | None]
    """By peer; None for those that are not installed."""
    plan: Plan
    taken_at: datetime
    rows: Sequence[RowResult]
    sweeps: Sequence[SweepResult] = ()

    def is_met(self, result: RowResult) -> bool | None:
        """Whether interproc met the row's target; None without one, or if it was not measured."""
        target = result.row.target
        return target.is_met(result, {each.row.key: each for each in self.rows}) if target else None

    def write_json(self, path: Path) -> None:
        """Writes all of it, every round included."""
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(self.as_dict(), indent=1, ensure_ascii=False) + "\n")

    def as_dict(self) -> dict[str, Any]:
        """What goes into the JSON file; docs/benchmarks.md describes it."""
        return {
            "format": FORMAT,
            "taken_at": self.taken_at.isoformat(timespec="seconds"),
            "machine": asdict(self.machine),
            "versions": dict(self.versions),
            "plan": asdict(self.plan),
            "rows": [self._row(result) for result in self.rows],
            "sweeps": [self._sweep(result) for result in self.sweeps],
        }

    def _row(self, result: RowResult) -> dict[str, Any]:
        row = result.row
        unit = row.experiment.unit
        return {
            "key": row.key,
            "title": row.title,
            "unit": unit.symbol,
            "better": "higher" if unit.higher_is_better else "lower",
            "target": row.target.text if row.target else None,
            "is_met": self.is_met(result),
            "peers": {name: self._cell(result, name) for name in result.cells},
        }

    def _cell(self, result: RowResult, name: str) -> dict[str, Any]:
        cell = result.cells[name]
        return {
            "status": cell.status,
            "reason": cell.reason,
            "median": cell.median,
            "ratio": result.ratio(name),
            "rounds": list(cell.values),
            "details": {detail: list(values) for detail, values in cell.details.items()},
        }

    def _sweep(self, result: SweepResult) -> dict[str, Any]:
        sweep = result.sweep
        points = [{"x": x, **self._row(each)} for (x, _), each in zip(sweep.points, result.results, strict=True)]
        return {"key": sweep.key, "kind": sweep.kind, "title": sweep.title, "points": points}


def now() -> datetime:
    """The time, with its zone."""
    return datetime.now(UTC)
