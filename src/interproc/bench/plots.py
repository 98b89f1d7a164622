"""Plots: the sweeps as PNG files."""

from collections.abc import Mapping, Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from interproc.bench.experiments.round_trip import PERCENTILES
from interproc.bench.payloads import KIB, MIB
from interproc.bench.report import Report, SweepResult
from interproc.bench.sweeps import WORKERS, Kind

COLORS = {
    "multiprocessing": "#7f7f7f",
    "interproc": "#d62728",
    "faster-fifo": "#1f77b4",
    "pyzmq": "#2ca02c",
    "by hand": "#9467bd",
}
FILE_NAMES: Mapping[Kind, str] = {
    "sizes": "throughput-by-size.png",
    "workers": "throughput-by-workers.png",
    "latency": "latency.png",
}


def write_plots(report: Report, folder: Path) -> list[Path]:
    """Writes one file for each kind of sweep and returns their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    for kind, file_name in FILE_NAMES.items():
        sweeps = [result for result in report.sweeps if result.sweep.kind == kind]
        if sweeps:
            _write(report, kind, sweeps, folder / file_name)
            paths.append(folder / file_name)
    return paths


def _write(report: Report, kind: Kind, sweeps: Sequence[SweepResult], path: Path) -> None:
    figure = Figure(figsize=(6.4 * len(sweeps), 4.8), layout="tight")
    grid = figure.subplots(1, len(sweeps), sharey=True, squeeze=False)
    draw = {"sizes": _draw_sizes, "workers": _draw_workers, "latency": _draw_latency}[kind]
    for axes, result in zip(grid[0], sweeps, strict=True):
        draw(axes, result)
        axes.set_title(result.sweep.title)
        axes.grid(True, which="major", alpha=0.3)
        axes.legend()
    figure.suptitle(report.machine.text, fontsize="small")
    figure.savefig(path, dpi=120)


def _draw_sizes(axes: Axes, result: SweepResult) -> None:
    for name, xs, medians in _lines(result):
        axes.loglog(xs, medians, "o-", label=name, color=COLORS[name])
    axes.set_xscale("log", base=2)
    sizes = [size for size, _ in result.sweep.points]
    axes.set_xticks(sizes, [_size_text(int(size)) for size in sizes], fontsize="small", rotation=45)
    axes.set_xlabel("message size")
    axes.set_ylabel("throughput, bytes/s")


def _draw_workers(axes: Axes, result: SweepResult) -> None:
    for name, xs, medians in _lines(result):
        axes.plot(xs, medians, "o-", label=name, color=COLORS[name])
    axes.set_xscale("log", base=2)
    axes.set_xticks(WORKERS, [str(workers) for workers in WORKERS])
    axes.set_yscale("log")
    axes.set_xlabel("producers, and as many consumers")
    axes.set_ylabel("messages/s")


def _draw_latency(axes: Axes, result: SweepResult) -> None:
    (point,) = result.results
    cells = [(name, cell) for name, cell in point.cells.items() if cell.details]
    for index, (name, cell) in enumerate(cells):
        offsets = [place + (index - (len(cells) - 1) / 2) * 0.2 for place in range(len(PERCENTILES))]
        trips_us = [(cell.detail(percentile) or 0.0) * 1e6 for percentile in PERCENTILES]
        axes.bar(offsets, trips_us, 0.18, label=name, color=COLORS[name])
    axes.set_xticks(range(len(PERCENTILES)), list(PERCENTILES))
    axes.set_yscale("log")
    axes.set_ylabel("round trip, µs")


def _size_text(size: int) -> str:
    scale, prefix = next(
        (scale, prefix)
        for scale, prefix in ((1024 * MIB, "GiB"), (MIB, "MiB"), (KIB, "KiB"), (1, "B"))
        if size >= scale
    )
    return f"{size // scale} {prefix}"


def _lines(result: SweepResult) -> list[tuple[str, list[float], list[float]]]:
    """For each peer the points where it was measured."""
    lines = []
    for name in result.results[0].cells:
        points = [
            (x, median)
            for (x, _), each in zip(result.sweep.points, result.results, strict=True)
            if (median := each.median(name)) is not None
        ]
        if points:
            lines.append((name, [x for x, _ in points], [y for _, y in points]))
    return lines
