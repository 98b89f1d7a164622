"""The outcome of a run in plain text, the same for the same outcomes."""

from collections import Counter
from collections.abc import Iterable, Iterator

from tests.stdlib.differences import Verdict
from tests.stdlib.outcomes import BAD, ClassOutcomes, Kind

HEADINGS = ("class", "method", "passed", "differs", "failed", "skipped")


def report(runs: list[ClassOutcomes], verdicts: list[Verdict], absent: list[str]) -> str:
    """Describes a run: a row for each class and method, the totals, and every test that did not do what it should."""
    lines = [f"absent in this Python, not run: {name}" for name in absent]
    lines += _table(runs, verdicts)
    lines += _differences(verdicts)
    lines += _surprises(runs, verdicts)
    return "\n".join(lines)


def _table(runs: list[ClassOutcomes], verdicts: list[Verdict]) -> Iterator[str]:
    counts: dict[tuple[str, str], Counter[str]] = {(run.name, run.method): Counter() for run in runs}
    totals: dict[str, Counter[str]] = {}
    for verdict in verdicts:
        name = verdict.test.partition(".")[0]
        column = "differs" if verdict.kind in BAD and verdict.expected else str(_column(verdict.kind))
        counts[name, verdict.method][column] += 1
        totals.setdefault(verdict.method, Counter())[column] += 1
    rows: list[tuple[str, ...]] = [HEADINGS]
    rows += [(name, method, *_cells(count)) for (name, method), count in sorted(counts.items())]
    rows += [("total", method, *_cells(count)) for method, count in totals.items()]
    width = max(len(row[0]) for row in rows)
    for row in rows:
        yield f"{row[0]:{width}}  {row[1]:10}" + "".join(f"{cell:>9}" for cell in row[2:])


def _column(kind: Kind) -> Kind:
    return Kind.FAILED if kind in BAD else kind


def _cells(count: Counter[str]) -> tuple[str, ...]:
    return tuple(str(count[heading] or "-") for heading in HEADINGS[2:])


def _differences(verdicts: Iterable[Verdict]) -> Iterator[str]:
    methods: dict[tuple[str, str], list[str]] = {}
    for verdict in verdicts:
        if verdict.difference is not None and verdict.expected:
            reason = f"{verdict.difference.kind}: {verdict.difference.reason}"
            methods.setdefault((verdict.test, reason), []).append(verdict.method)
    for (test, reason), found in sorted(methods.items()):
        yield f"expected difference  {test} [{', '.join(found)}]  {reason}"


def _surprises(runs: list[ClassOutcomes], verdicts: Iterable[Verdict]) -> Iterator[str]:
    details = {(run.method, f"{run.name}.{name}"): one for run in runs for name, one in run.tests.items()}
    for verdict in verdicts:
        if verdict.expected:
            continue
        if verdict.difference is not None:
            yield f"\nstale: {verdict.test} [{verdict.method}] passed, but is listed: {verdict.difference.reason}"
        else:
            yield f"\n{verdict.kind}: {verdict.test} [{verdict.method}]"
            yield details[verdict.method, verdict.test].detail.rstrip()
    for run in runs:
        yield from (f"\nleft behind by {run.name} [{run.method}]: {process}" for process in run.left_behind)
