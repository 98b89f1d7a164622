"""Comparison: the demonstration's runs, timed and held against one another."""

import json
import multiprocessing
import os
import platform
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

import interproc
from interproc.demo.batched import count_identifiers_batched, parse_files_batched
from interproc.demo.findings import Findings
from interproc.demo.pipeline import index_with_processes
from interproc.demo.progress import OnProgress
from interproc.demo.serial import index_serially
from interproc.demo.source_files import read_ahead

SERIAL, MULTIPROCESSING, INTERPROC, BATCHED = "serial", "multiprocessing", "interproc", "interproc batched"
MOST_NAMES = 5

Program: TypeAlias = Callable[[OnProgress], Findings]
# Called with the name of a program and the number of files; in its context the program runs.
ProgressBar: TypeAlias = Callable[[str, int], AbstractContextManager[OnProgress]]


@dataclass(frozen=True)
class Run:
    """One program's run."""

    program: str
    findings: Findings
    seconds: float

    @property
    def messages_per_second(self) -> float:
        """How many messages went from process to process; for the serial run, how many it did without."""
        return self.findings.message_count / self.seconds


@dataclass
class Comparison:
    """What is to be done, and the runs that have done it."""

    folder: Path
    paths: list[str]
    start_method: str
    worker_count: int
    runs: list[Run] = field(default_factory=list)

    def programs(self) -> dict[str, Program]:
        """The programs that do it, in the order in which they run."""
        pipeline = partial(index_with_processes, self.paths, self.worker_count, self.start_method)
        return {
            SERIAL: partial(index_serially, self.paths),
            MULTIPROCESSING: partial(pipeline, multiprocessing),
            INTERPROC: partial(pipeline, interproc),
            BATCHED: partial(pipeline, interproc, parse=parse_files_batched, count=count_identifiers_batched),
        }

    def speed(self, run: Run) -> float | None:
        """How many times faster a run was than multiprocessing's; None without that one."""
        return next((other.seconds / run.seconds for other in self.runs if other.program == MULTIPROCESSING), None)

    @property
    def differences(self) -> list[str]:
        """In what a run's findings differ from the first run's, a line for each run; empty if all are equal."""
        first = self.runs[0]
        return [
            f"{run.program} and {first.program} differ in " + ", ".join(_differing(first.findings, run.findings))
            for run in self.runs
            if run.findings != first.findings
        ]

    def to_json(self) -> str:
        """All figures, and the files that could not be read or parsed."""
        findings = self.runs[0].findings
        document = {
            "machine": machine(),
            "folder": str(self.folder),
            "start_method": self.start_method,
            "workers": self.worker_count,
            "found": findings.totals(),
            "problems": {report.path: report.problem for report in findings.problems},
            "runs": [
                {
                    "program": run.program,
                    "seconds": run.seconds,
                    "messages": 0 if run.program == SERIAL else run.findings.message_count,
                    "items_per_second": run.messages_per_second,
                    "times_faster_than_multiprocessing": self.speed(run),
                }
                for run in self.runs
            ],
            "differences": self.differences,
        }
        return json.dumps(document, indent=2) + "\n"


def compare(comparison: Comparison, only: str | None, progress_bar: ProgressBar) -> None:
    """Runs the programs one after the other.

    Args:
        comparison: The task; the runs are added to it.
        only: The one program to run, None for all.
        progress_bar: Shows how far a program is.

    Raises:
        WorkerDied: A process ended before its work was done.
    """
    read_ahead(comparison.paths)
    for name, program in comparison.programs().items():
        if only in (None, name):
            with progress_bar(name, len(comparison.paths)) as on_progress:
                begin = time.perf_counter()
                findings = program(on_progress)
                comparison.runs.append(Run(name, findings, time.perf_counter() - begin))


def machine() -> str:
    """What the figures were measured on."""
    python = f"{platform.python_implementation()} {platform.python_version()}"
    return f"{python}, {platform.system()} {platform.machine()}, {len(os.sched_getaffinity(0))} usable CPUs"


def _differing(one: Findings, other: Findings) -> Iterator[str]:
    parts: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
        ("reports", one.index, other.index),
        ("imports", one.imports, other.imports),
        ("identifiers", one.identifiers, other.identifiers),
    ]
    for what, left, right in parts:
        keys = sorted(key for key in left.keys() | right.keys() if left.get(key) != right.get(key))
        if keys:
            yield f"{len(keys)} {what} ({', '.join(keys[:MOST_NAMES])}{' ...' if len(keys) > MOST_NAMES else ''})"
