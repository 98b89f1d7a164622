"""Screen: what the demonstration shows, drawn with rich; progress on stderr, all else on stdout."""

import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import rich.box
from rich.columns import Columns
from rich.console import Console
from rich.progress import BarColumn, TextColumn, TimeElapsedColumn
from rich.progress import Progress as ProgressBars
from rich.table import Table
from rich.text import Text

from interproc.demo.comparison import BATCHED, SERIAL, Comparison, machine
from interproc.demo.findings import Findings
from interproc.demo.progress import OnProgress, Progress

MOST_FREQUENT = 8
MOST_PROBLEMS = 5
REFRESH_SECONDS = 0.1
# A line ends before column 80: a terminal echoes ^C behind it, and what wraps cannot be drawn over.
BAR_WIDTH = 17


class Screen:
    """Shows a comparison: first the task, then the progress of each run, then the result."""

    def __init__(self) -> None:
        self._output = Console(highlight=False)
        self._progress = Console(stderr=True)

    def show_task(self, comparison: Comparison) -> None:
        """Prints what is about to be done."""
        self._say(f"{len(comparison.paths):,} Python files below {comparison.folder}")
        self._say(f"{comparison.worker_count} workers, started by {comparison.start_method}; {machine()}")

    @contextmanager
    def progress_bar(self, program: str, file_count: int) -> Iterator[OnProgress]:
        """Shows how far a run is; without a terminal, prints a line when it has ended.

        Nothing draws in the background: a process that is going to fork should have no other threads.
        """
        bars = ProgressBars(
            TextColumn("{task.description:<17}"),
            BarColumn(BAR_WIDTH),
            TextColumn("{task.fields[files]:>5,} files {task.fields[counted]:>9,} identifiers"),
            TimeElapsedColumn(),
            console=self._progress,
            auto_refresh=False,
        )
        task = bars.add_task(program, total=file_count, files=0, counted=0)
        refreshed = 0.0

        def show(progress: Progress) -> None:
            nonlocal refreshed
            files, counted = progress.file_count, progress.counted_count
            bars.update(task, completed=progress.finished_files, files=files, counted=counted)
            if time.monotonic() - refreshed >= REFRESH_SECONDS:
                bars.refresh()
                refreshed = time.monotonic()

        with bars:
            yield show

    def show_result(self, comparison: Comparison) -> None:
        """Prints what was found, how long each run took, and whether all have found the same."""
        findings = comparison.runs[0].findings
        self._output.print()
        self._show_findings(findings)
        self._show_problems(findings, comparison.folder)
        self._output.print()
        self._show_runs(comparison)
        for difference in comparison.differences:
            self._say(difference)
        if len(comparison.runs) > 1 and not comparison.differences:
            self._say(f"All {len(comparison.runs)} results are equal: every report, every import, every identifier.")

    def _show_findings(self, findings: Findings) -> None:
        totals = _table("found", "")
        for what, number in findings.totals().items():
            totals.add_row(what, f"{number:,}")
        identifiers = self._most_frequent("identifier", findings.identifiers)
        self._output.print(Columns([totals, identifiers, self._most_frequent("import", findings.imports)]))

    def _show_problems(self, findings: Findings, folder: Path) -> None:
        problems = findings.problems
        if problems:
            self._say(f"{len(problems)} of {len(findings.index):,} files could not be read or parsed:")
        for report in problems[:MOST_PROBLEMS]:
            self._say(f"  {Path(report.path).relative_to(folder)}: {report.problem}")
        if len(problems) > MOST_PROBLEMS:
            self._say(f"  and {len(problems) - MOST_PROBLEMS} more (--json names all)")

    def _show_runs(self, comparison: Comparison) -> None:
        speeds = {run.program: speed for run in comparison.runs if (speed := comparison.speed(run)) is not None}
        table = _table("program", "time", "messages/s", *(["vs multiprocessing"] if speeds else []))
        for run in comparison.runs:
            rate = f"{run.messages_per_second:,.0f}"
            table.add_row(
                run.program,
                f"{run.seconds:.2f} s",
                f"({rate})" if run.program == SERIAL else rate,
                *([f"{speeds[run.program]:.2f}x"] if speeds else []),
            )
        self._output.print(table)
        programs = [run.program for run in comparison.runs]
        if SERIAL in programs:
            self._say(f"{SERIAL}: nothing is sent; in brackets, how many items the one process handles.")
        if BATCHED in programs:
            self._say(f"{BATCHED}: put_many and get_many, which multiprocessing does not have; not a swapped import.")

    def _most_frequent(self, what: str, counts: Counter[str]) -> Table:
        table = _table(what, "times")
        for name, times in sorted(counts.items(), key=lambda item: (-item[1], item[0]))[:MOST_FREQUENT]:
            table.add_row(self._visible(name), f"{times:,}")
        return table

    def _say(self, text: str) -> None:
        self._output.print(self._visible(text), soft_wrap=True)

    def _visible(self, text: str) -> Text:
        """Names come from other people's files: none may be markup, move the cursor, or fail to be encoded."""
        printable = "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text)
        encoding = self._output.encoding
        return Text(printable.encode(encoding, "backslashreplace").decode(encoding))


def _table(first: str, *others: str) -> Table:
    table = Table(first, box=rich.box.SIMPLE_HEAD, pad_edge=False)
    for header in others:
        table.add_column(header, justify="right")
    return table
