"""The pipeline finds what the serial run finds, and no death hangs it."""

import os
import signal
from pathlib import Path
from typing import Any

import pytest

from interproc.demo.crew import WorkerDied
from interproc.demo.parsing import parse_file
from interproc.demo.pipeline import Multiprocessing, count_identifiers, index_with_processes, parse_files
from interproc.demo.progress import Progress
from interproc.demo.serial import index_serially
from interproc.demo.source_files import find_source_files


def ignore(progress: Progress) -> None:
    """Shows nobody."""


def test_pipeline_finds_what_the_serial_run_finds(folder: Path, module: Multiprocessing, start_method: str) -> None:
    paths = find_source_files(folder)
    findings = index_with_processes(paths, 2, start_method, module, ignore)
    assert findings == index_serially(paths, ignore)
    assert len(findings.index) == len(paths) == 23


def test_more_workers_than_files_are_no_harm(folder: Path, module: Multiprocessing) -> None:
    paths = find_source_files(folder)[:1]
    assert index_with_processes(paths, 4, None, module, ignore) == index_serially(paths, ignore)


def test_progress_ends_where_the_findings_are(folder: Path, module: Multiprocessing) -> None:
    seen: list[Progress] = []
    findings = index_with_processes(find_source_files(folder), 2, None, module, seen.append)
    assert seen[-1].file_count == seen[-1].finished_files == len(findings.index)
    assert seen[-1].counted_count == findings.identifiers.total()


def die_at_the_second_file(paths: Any, results: Any, identifiers: Any) -> None:
    """A parser that is killed between two files."""
    results.put(parse_file(paths.get()).report)
    paths.get()
    os.kill(os.getpid(), signal.SIGKILL)


def die_before_counting(identifiers: Any, results: Any, parser_count: int) -> None:
    """A counter that ends with an exit code of its own."""
    os._exit(3)


def end_early(*arguments: Any) -> None:
    """A body that thinks it is done."""


def interrupt_the_parent(identifiers: Any, results: Any, parser_count: int) -> None:
    """A counter that does what Ctrl-C does, and then its work for ever."""
    identifiers.get()
    os.kill(os.getppid(), signal.SIGINT)
    count_identifiers(identifiers, results, parser_count + 1)


def test_killed_parser_is_named(folder: Path, module: Multiprocessing) -> None:
    with pytest.raises(WorkerDied, match=r"parser \d \(process \d+\) was killed by SIGKILL"):
        index_with_processes(find_source_files(folder), 2, None, module, ignore, parse=die_at_the_second_file)


def test_counter_that_exits_is_named_with_its_exit_code(folder: Path, module: Multiprocessing) -> None:
    with pytest.raises(WorkerDied, match=r"counter \(process \d+\) ended with exit code 3"):
        index_with_processes(find_source_files(folder), 2, None, module, ignore, count=die_before_counting)


def test_workers_that_end_too_early_are_noticed(folder: Path, module: Multiprocessing) -> None:
    with pytest.raises(WorkerDied, match="not all results are here"):
        index_with_processes(find_source_files(folder), 2, None, module, ignore, end_early, end_early)


def test_interrupt_ends_the_workers(folder: Path, module: Multiprocessing, capfd: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(KeyboardInterrupt):
        index_with_processes(
            find_source_files(folder), 2, "fork", module, ignore, parse=parse_files, count=interrupt_the_parent
        )
    assert capfd.readouterr().err == ""


class Unreadable:
    """An object that cannot be unpickled."""

    def __reduce__(self) -> tuple[Any, ...]:
        return int, ("no number",)


def count_unreadably(identifiers: Any, results: Any, parser_count: int) -> None:
    """A counter whose result cannot be read, and which then waits for what never comes."""
    results.put(Unreadable())
    count_identifiers(identifiers, results, parser_count + 1)


def test_result_that_cannot_be_read_raises(folder: Path, module: Multiprocessing) -> None:
    with pytest.raises(ValueError, match="no number"):
        index_with_processes(find_source_files(folder), 2, None, module, ignore, count=count_unreadably)
