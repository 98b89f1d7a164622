"""Table: the report on a terminal."""

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from interproc.bench.report import Report
from interproc.bench.results import BASELINE, CANDIDATE, Cell, RowResult

LEAST_WIDTH = 180  # of what is not a terminal
TITLES_FROM_WIDTH = 150  # narrower, there is room for the keys only
VERDICTS = {True: Text("ok", "green"), False: Text("short", "bold red"), None: Text("")}


def print_report(report: Report, console: Console) -> None:
    """Prints the machine, the versions, the rows, and what went wrong."""
    console.print(Text(report.machine.text))
    console.print(Text(_versions(report)))
    results = _results(report)
    of_pools = [result.row.experiment.needs == "pool" for result in results]
    for is_of_pools in (False, True):  # other libraries take part in those
        rows = [result for result, matches in zip(results, of_pools, strict=True) if matches == is_of_pools]
        if rows:
            console.print(_table(report, rows, with_titles=console.width >= TITLES_FROM_WIDTH))
    for result in results:
        for name, cell in result.cells.items():
            if cell.status in ("hung", "failed"):
                console.print(Text(f"{result.row.key}: {name} {cell.status}: {cell.reason.splitlines()[-1]}", "red"))


def _results(report: Report) -> list[RowResult]:
    """The rows, and those points of sweeps that have a target."""
    return [*report.rows, *(each for sweep in report.sweeps for each in sweep.results if each.row.target)]


def _versions(report: Report) -> str:
    names = [f"{name} {version or f'missing (pip install {name})'}" for name, version in report.versions.items()]
    plan = report.plan
    return f"{', '.join(names)}; medians of up to {plan.rounds} interleaved rounds of about {plan.round_s:g} s"


def _table(report: Report, rows: Sequence[RowResult], with_titles: bool) -> Table:
    names = [name for name in report.versions if any(result.cells[name].status != "not offered" for result in rows)]
    caption = "in brackets: times better than multiprocessing"
    table = Table(caption=f"{caption}; --quick: growth with a tenth of the messages" if report.plan.quick else caption)
    table.add_column("row", no_wrap=True)
    if with_titles:
        table.add_column("what")
    for name in names:
        table.add_column(name, justify="right", no_wrap=True)
    table.add_column("target", justify="right", no_wrap=True)
    table.add_column("", no_wrap=True)
    for result in rows:
        target = result.row.target
        table.add_row(
            result.row.key,
            *([result.row.title] if with_titles else []),
            *(_figure(result, name) for name in names),
            target.text if target else "",
            VERDICTS[report.is_met(result)],
        )
    return table


def _figure(result: RowResult, name: str) -> Text:
    cell: Cell = result.cells[name]
    if cell.median is None:
        return Text(cell.status, "red" if cell.status in ("hung", "failed") else "dim")
    figure = Text(result.row.experiment.unit.text(cell.median), "bold" if name == CANDIDATE else "")
    ratio = result.ratio(name)
    if ratio is not None and name != BASELINE:
        figure.append(f" ({ratio:.3g}x)", "red" if ratio < 1 else "")
    return figure
