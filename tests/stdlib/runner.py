"""Runs the suite's classes, each in a process of its own that no other class depends on."""

import json
import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from tests.footprint import PROC, lines_of
from tests.stdlib.interpreter import METHOD_VARIABLE, make_interpreter
from tests.stdlib.outcomes import ClassOutcomes, Kind, read_record

ENDING_SECONDS = 5.0
POLL_SECONDS = 0.02
# What the process of a class may take beyond the patience with all its tests.
MARGIN_SECONDS = 60.0
MOST_RESTARTS = 3


@dataclass(frozen=True)
class Listing:
    """The classes for a start method with the names of their tests, and the modules this Python came without."""

    absent: list[str]
    classes: dict[str, list[str]]


class Runner:
    """Runs classes with one interpreter, made for the purpose, in temporary folders."""

    def __init__(self, folder: Path, patience_seconds: float, rebound: bool = True) -> None:
        """Makes the interpreter.

        Args:
            folder: An empty folder; its path should be short, since the tests put sockets into it.
            patience_seconds: How long a test may take.
            rebound: Whether the tests get interproc; without, they test the standard library.
        """
        self._folder = folder
        self._patience_seconds = patience_seconds
        self._python = make_interpreter(folder / "env", rebound)
        self._sessions: set[int] = set()
        self._is_broken_off = False

    def list_classes(self, method: str) -> Listing:
        """Lists what there is for a start method."""
        with self._workplace() as place:
            record, log = place / "record", place / "output"
            with log.open("wb") as output:
                exit_code = self._start(output, place, method, "--list", record).wait(MARGIN_SECONDS)
            if exit_code:
                raise RuntimeError(f"CPython's suite cannot be listed for {method}:\n{log.read_text()}")
            return Listing(**json.loads(record.read_text()))

    def run(self, method: str, name: str, tests: list[str]) -> ClassOutcomes:
        """Runs these tests of a class; blocks until all ended.

        What a test that hangs or crashes has kept from running gets a process of its own, a few times.
        """
        outcomes = self._run_once(method, name, tests)
        for _ in range(MOST_RESTARTS):
            left = [test for test, outcome in outcomes.tests.items() if outcome.kind is Kind.NOT_RUN]
            if not left or len(left) == len(tests) or self._is_broken_off:
                break
            more = self._run_once(method, name, left)
            outcomes.tests.update(more.tests)
            outcomes.output += more.output
            outcomes.left_behind += more.left_behind
            outcomes.seconds += more.seconds
        return outcomes

    def _run_once(self, method: str, name: str, tests: list[str]) -> ClassOutcomes:
        with self._workplace() as place:
            record, log = place / "record", place / "output"
            begin = time.monotonic()
            with log.open("wb") as output:
                process = self._start(output, place, method, name, record, self._patience_seconds, *tests)
                self._sessions.add(process.pid)
                try:
                    exit_code = process.wait(self._patience_seconds * len(tests) + MARGIN_SECONDS)
                except subprocess.TimeoutExpired:  # the process's own watchdog failed, or it was stopped
                    exit_code = -signal.SIGKILL
                left_behind = _end_session(process.pid, ENDING_SECONDS)
                self._sessions.discard(process.pid)
                process.wait()
            text = log.read_text(errors="replace")
            outcomes = read_record(record, tests, exit_code, text)
        return ClassOutcomes(method, name, outcomes, text, left_behind, time.monotonic() - begin)

    def kill(self) -> None:
        """Ends all classes that run now, for a run that is broken off."""
        self._is_broken_off = True
        for session in list(self._sessions):
            _end_session(session, 0.0)

    @contextmanager
    def _workplace(self) -> Iterator[Path]:
        with tempfile.TemporaryDirectory(dir=self._folder, ignore_cleanup_errors=True) as place:
            (Path(place) / "cwd").mkdir()
            yield Path(place)

    def _start(self, output: IO[bytes], place: Path, *arguments: object) -> subprocess.Popen[bytes]:
        method = str(arguments[0])
        environment = {**os.environ, METHOD_VARIABLE: method, "TMPDIR": str(place), "PYTHONFAULTHANDLER": "1"}
        for variable in ("PYTHONPATH", "PYTHONHOME", "PYTHONWARNINGS"):
            environment.pop(variable, None)
        return subprocess.Popen(
            [str(self._python), "-m", "tests.stdlib.class_run", *map(str, arguments)],
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd=place / "cwd",
            env=environment,
            start_new_session=True,
        )


def _end_session(session: int, patience_seconds: float) -> list[str]:
    """Waits for all processes of a session to end, kills those that do not, and describes them."""
    deadline = time.monotonic() + patience_seconds
    while (members := _members(session)) and time.monotonic() < deadline:
        time.sleep(POLL_SECONDS)
    described = [" ".join(lines_of(PROC / str(pid) / "cmdline")).replace("\0", " ").strip() for pid in members]
    for pid in members:
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    return described


def _members(session: int) -> list[int]:
    found = []
    for entry in PROC.iterdir():
        if entry.name.isdecimal():
            # The fields after the name, which may contain anything: state, parent, group, session.
            fields = "".join(lines_of(entry / "stat")).rpartition(")")[2].split()
            if len(fields) > 3 and fields[3] == str(session) and fields[0] != "Z":
                found.append(int(entry.name))
    return found
