"""`interproc demo`: one program run serially, with multiprocessing and with interproc, and compared."""

import argparse
import multiprocessing
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from interproc.demo.comparison import INTERPROC, MULTIPROCESSING, SERIAL, Comparison, compare
from interproc.demo.crew import WorkerDied
from interproc.demo.screen import Screen
from interproc.demo.source_files import SourceFolderError, find_source_files, standard_library

FAILED = 1
BAD_USAGE = 2
FEWEST_WORKERS = 2


def main(argv: Sequence[str]) -> int:
    """Runs the command; whatever ends it, its processes have ended when it returns."""
    arguments = _parser().parse_args(argv)
    screen = Screen()
    try:
        comparison = Comparison(
            arguments.folder,
            find_source_files(arguments.folder),
            arguments.start_method or multiprocessing.get_start_method(),
            arguments.workers,
        )
        screen.show_task(comparison)
        compare(comparison, arguments.only, screen.progress_bar)
        if arguments.json:
            arguments.json.write_text(comparison.to_json())
    except SourceFolderError as error:
        return _fail(error, BAD_USAGE)
    except (WorkerDied, OSError) as error:  # OSError: no more processes, descriptors, memory or disk
        return _fail(error, FAILED)
    screen.show_result(comparison)
    return FAILED if comparison.differences else 0


def usable_cpu_count() -> int:
    """How many CPUs this process may run on, which can be fewer than the machine has."""
    return len(os.sched_getaffinity(0))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="interproc demo",
        description="Indexes the Python files of a folder serially, with multiprocessing and with interproc, and "
        "compares what was found and how long it took. A fourth run uses what only interproc offers.",
    )
    parser.add_argument(
        "folder",
        metavar="FOLDER",
        nargs="?",
        type=Path,
        default=standard_library(),
        help="what to index (default: the standard library of this Python)",
    )
    parser.add_argument(
        "--workers",
        metavar="N",
        type=_positive,
        default=max(FEWEST_WORKERS, usable_cpu_count()),
        help="processes that parse (default: one for each usable CPU, at least two)",
    )
    parser.add_argument(
        "--start-method",
        choices=multiprocessing.get_all_start_methods(),
        help="how processes are started (default: as this Python does)",
    )
    parser.add_argument("--only", choices=[SERIAL, MULTIPROCESSING, INTERPROC], help="run one program alone")
    parser.add_argument("--json", metavar="FILE", type=_writable, help="also write all figures to a file")
    return parser


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"{text!r} is not a positive number")
    return int(text)


def _writable(text: str) -> Path:
    """Checked before the work begins, not after."""
    path = Path(text)
    if path.is_dir() or not os.access(path if path.exists() else path.parent, os.W_OK):
        raise argparse.ArgumentTypeError(f"cannot write to {text!r}")
    return path


def _fail(error: Exception, code: int) -> int:
    print(f"interproc demo: {error}", file=sys.stderr)
    return code
