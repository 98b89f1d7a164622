"""Runs are compared exactly, and told honestly."""

import json
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from interproc.demo.comparison import BATCHED, INTERPROC, MULTIPROCESSING, SERIAL, Comparison, Run, compare
from interproc.demo.findings import Findings
from interproc.demo.parsing import FileReport
from interproc.demo.progress import OnProgress, Progress
from interproc.demo.source_files import find_source_files


def found(path: str = "a.py", identifiers: str = "xxy") -> Findings:
    findings = Findings(identifiers=Counter(identifiers))
    findings.add(FileReport(path, 10, None, 0, [], ["os"], len(identifiers)))
    return findings


def comparison_of(*runs: Run) -> Comparison:
    return Comparison(Path("folder"), ["a.py"], "fork", 2, list(runs))


@contextmanager
def no_bar(program: str, file_count: int) -> Iterator[OnProgress]:
    def ignore(progress: Progress) -> None: ...

    yield ignore


def test_all_programs_find_the_same(folder: Path, start_method: str) -> None:
    comparison = Comparison(folder, find_source_files(folder), start_method, 2)
    compare(comparison, None, no_bar)
    assert [run.program for run in comparison.runs] == [SERIAL, MULTIPROCESSING, INTERPROC, BATCHED]
    assert comparison.differences == []


def test_only_the_wanted_program_runs(folder: Path) -> None:
    comparison = Comparison(folder, find_source_files(folder), "fork", 2)
    compare(comparison, INTERPROC, no_bar)
    assert [run.program for run in comparison.runs] == [INTERPROC]


@pytest.mark.parametrize(
    ("other", "complaint"),
    [
        (found(identifiers="xyy"), "2 identifiers (x, y)"),
        (found(identifiers="xxyz"), "1 reports (a.py), 1 identifiers (z)"),
        (found(path="b.py"), "2 reports (a.py, b.py)"),
    ],
)
def test_differences_are_named(other: Findings, complaint: str) -> None:
    comparison = comparison_of(Run(SERIAL, found(), 1.0), Run(INTERPROC, other, 1.0))
    assert comparison.differences == [f"interproc and serial differ in {complaint}"]


def test_speed_is_the_ratio_of_the_times() -> None:
    slow, fast = Run(MULTIPROCESSING, found(), 4.0), Run(INTERPROC, found(), 2.0)
    comparison = comparison_of(slow, fast)
    assert (comparison.speed(slow), comparison.speed(fast)) == (1.0, 2.0)
    assert comparison_of(fast).speed(fast) is None


def test_messages_are_paths_reports_and_identifiers() -> None:
    assert Run(INTERPROC, found(identifiers="xxy"), 0.5).messages_per_second == (1 + 1 + 3) / 0.5


def test_json_has_all_figures() -> None:
    document = json.loads(comparison_of(Run(SERIAL, found(), 1.0), Run(MULTIPROCESSING, found(), 2.0)).to_json())
    assert document["found"]["identifiers"] == 3
    assert [run["messages"] for run in document["runs"]] == [0, 5]
    assert [run["times_faster_than_multiprocessing"] for run in document["runs"]] == [2.0, 1.0]
    assert document["differences"] == []
