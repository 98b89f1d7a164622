"""The record of a run: its JSON, and its table."""

import io
import json
from datetime import UTC, datetime
from pathlib import Path

import pytest
from rich.console import Console

from interproc.bench.machine import this_machine
from interproc.bench.report import Report, SweepResult
from interproc.bench.results import Cell, RowResult
from interproc.bench.rows import Row
from interproc.bench.sweeps import Sweep
from interproc.bench.table import print_report
from interproc.bench.targets import TimesBetter
from interproc.bench.trial import FORK
from interproc.bench.units import SECONDS
from tests.bench.fakes import PLAN, FakeExperiment

CELLS = {
    "multiprocessing": Cell("measured", (3e-6, 1e-6, 2e-6)),
    "interproc": Cell("measured", (4e-6,), {"p99": (9e-6,)}),
    "faster-fifo": Cell("hung", reason="killed after 5 s"),
    "pyzmq": Cell("missing", reason="pip install pyzmq"),
}


@pytest.fixture
def report() -> Report:
    """A run of one row and one sweep."""
    result = RowResult(Row("trip", "a round trip", FakeExperiment(unit=SECONDS), TimesBetter(15)), CELLS)
    sweep = Sweep("trips", "sizes", "round trips", [(8, result.row)])
    versions = {"multiprocessing": "Python 3.11", "interproc": "0.1", "faster-fifo": "1.5", "pyzmq": None}
    taken_at = datetime(2024, 1, 2, 3, 4, 5, tzinfo=UTC)
    return Report(this_machine(), versions, PLAN, taken_at, [result], [SweepResult(sweep, [result])])


def test_json_has_every_round_and_reason(report: Report, tmp_path: Path) -> None:
    path = tmp_path / "new" / "results.json"
    report.write_json(path)
    content = json.loads(path.read_text())
    (row,) = content["rows"]
    assert content["format"] == 1
    assert content["taken_at"] == "2024-01-02T03:04:05+00:00"
    assert content["versions"]["pyzmq"] is None
    assert content["plan"] == {"rounds": 3, "round_s": 1.0, "limit_s": 5.0, "quick": False}
    assert set(content["machine"]) == {"cpu", "usable_cores", "memory_bytes", "kernel", "python"}
    assert {name: value for name, value in row.items() if name != "peers"} == {
        "key": "trip",
        "title": "a round trip",
        "unit": "s",
        "better": "lower",
        "target": "15x",
        "is_met": False,
    }
    assert row["peers"]["interproc"] == {
        "status": "measured",
        "reason": "",
        "median": 4e-6,
        "ratio": 0.5,
        "rounds": [4e-6],
        "details": {"p99": [9e-6]},
    }
    assert row["peers"]["faster-fifo"]["status"] == "hung"
    assert row["peers"]["faster-fifo"]["median"] is None
    assert content["sweeps"] == [
        {"key": "trips", "kind": "sizes", "title": "round trips", "points": [{"x": 8, **row}]},
    ]


def test_table_shows_losses_and_what_is_missing(report: Report) -> None:
    output = io.StringIO()
    print_report(report, Console(file=output, width=160))
    text = output.getvalue()
    assert report.machine.cpu in text
    assert "pyzmq missing (pip install pyzmq)" in text
    line, in_the_sweep = (line for line in text.splitlines() if "a round trip" in line)
    assert line == in_the_sweep
    assert [cell.strip() for cell in line.split("│")[1:-1]] == [
        "trip",
        "a round trip",
        "2 µs",
        "4 µs (0.5x)",
        "hung",
        "missing",
        "15x",
        "short",
    ]
    assert "trip: faster-fifo hung: killed after 5 s" in text


def test_plots_are_written(report: Report, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    from interproc.bench.plots import write_plots

    # In a process of its own: matplotlib keeps fonts open for as long as it lives.
    process = FORK.Process(target=write_plots, args=(report, tmp_path / "new"))
    process.start()
    process.join()
    assert process.exitcode == 0
    (path,) = (tmp_path / "new").iterdir()
    assert path.read_bytes().startswith(b"\x89PNG")
