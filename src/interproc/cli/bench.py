"""`interproc bench`: queues and pipes beside multiprocessing, faster-fifo and pyzmq, pools beside loky and others."""

import argparse
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path

from rich.console import Console
from rich.live import Live
from rich.text import Text

from interproc.bench.machine import this_machine
from interproc.bench.peers import PEERS
from interproc.bench.report import Report, SweepResult, now
from interproc.bench.results import RowResult
from interproc.bench.rounds import FULL, QUICK, Bench, Notice, enter
from interproc.bench.rows import ROWS, Row
from interproc.bench.selection import select
from interproc.bench.sweeps import SWEEPS, Sweep
from interproc.bench.table import LEAST_WIDTH, print_report

BAD_USAGE = 2


def main(argv: Sequence[str]) -> int:
    """Runs the command. Interrupted, it still shows what it has measured."""
    arguments = _parser().parse_args(argv)
    rows = select(ROWS, arguments.rows)
    sweeps = select(SWEEPS, arguments.rows) if arguments.plots or arguments.list else []
    if arguments.list:
        _list(rows, sweeps)
        return 0
    if not rows and not sweeps:
        print(f"interproc bench: no row matches {arguments.rows!r}; --list shows them", file=sys.stderr)
        return BAD_USAGE
    if arguments.plots and not find_spec("matplotlib"):  # before the minutes of measuring, not after
        raise ModuleNotFoundError("plots need matplotlib", name="matplotlib")
    _measure(arguments, rows, sweeps)
    return 0


def _measure(arguments: argparse.Namespace, rows: Sequence[Row], sweeps: Sequence[Sweep]) -> None:
    plan = QUICK if arguments.quick else FULL
    plan = replace(plan, rounds=arguments.rounds or plan.rounds)
    entrants = enter(PEERS)
    row_results: list[RowResult] = []
    sweep_results: list[SweepResult] = []
    report = Report(
        this_machine(),
        {entrant.peer.name: entrant.version for entrant in entrants},
        plan,
        now(),
        row_results,
        sweep_results,
    )
    try:
        with _progress() as notice:
            bench = Bench(entrants, plan, notice)
            for row in rows:
                row_results.append(bench.measure(row))
            for sweep in sweeps:
                sweep = sweep.quick if plan.quick else sweep
                sweep_results.append(SweepResult(sweep, [bench.measure(row) for _, row in sweep.points]))
    finally:
        _publish(report, arguments.json, arguments.plots)


def _publish(report: Report, json_path: Path | None, plots_folder: Path | None) -> None:
    if not report.rows and not report.sweeps:
        return
    console = Console()
    if not console.is_terminal:
        console = Console(width=max(console.width, LEAST_WIDTH))
    print_report(report, console)
    if json_path:
        report.write_json(json_path)
        print(json_path)
    if plots_folder:
        # Not before: matplotlib would make every fork of this process dearer.
        from interproc.bench.plots import write_plots

        print(*write_plots(report, plots_folder), sep="\n")


@contextmanager
def _progress() -> Iterator[Notice]:
    """A line on a terminal that says what is being measured. Without a thread: this process forks."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield lambda text: None
        return
    with Live(
        console=console, auto_refresh=False, transient=True, redirect_stdout=False, redirect_stderr=False
    ) as live:
        yield lambda text: live.update(Text(text, "dim", no_wrap=True), refresh=True)


def _list(rows: Sequence[Row], sweeps: Sequence[Sweep]) -> None:
    for row in rows:
        print(f"{row.key:<22}{row.title}")
    for sweep in sweeps:
        print(f"{sweep.key:<22}{sweep.title} (with --plots)")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="interproc bench",
        description="Measures interproc beside multiprocessing, faster-fifo and pyzmq, as far as they are installed, "
        "in interleaved rounds, and prints medians and their ratios to multiprocessing.",
    )
    parser.add_argument("--quick", action="store_true", help="short rounds and few of them: about a minute, more noise")
    parser.add_argument(
        "--rows",
        metavar="PATTERN",
        default="*",
        help="only rows whose key contains this, or matches it with * and ?; several with commas",
    )
    parser.add_argument(
        "--rounds", metavar="N", type=_positive, help=f"how often (default: {FULL.rounds}, quick {QUICK.rounds})"
    )
    parser.add_argument("--list", action="store_true", help="print the rows and measure nothing")
    parser.add_argument("--json", metavar="FILE", type=_file, help="write everything, every round included")
    parser.add_argument("--plots", metavar="DIR", type=_folder, help="also measure what the plots show, and write them")
    return parser


def _file(text: str) -> Path:
    """Checked before the minutes of measuring, not after."""
    path = Path(text)
    if path.is_dir():
        raise argparse.ArgumentTypeError(f"{text!r} is a folder")
    return path


def _folder(text: str) -> Path:
    """Checked before the minutes of measuring, not after."""
    path = Path(text)
    if path.exists() and not path.is_dir():
        raise argparse.ArgumentTypeError(f"{text!r} is not a folder")
    return path


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"{text!r} is not a positive number")
    return int(text)
