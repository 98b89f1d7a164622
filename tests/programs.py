"""Programs of their own: interpreters that tests start, feed lines and kill, and the Pythons that this machine has."""

import functools
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.contexts import PATIENCE_SECONDS
from tests.house.floors import ROOT

VERSIONS = ("3.11", "3.12", "3.13")


class Program:
    """A Python program that runs beside the test, and talks with it in lines."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self.process = process

    def read_line(self) -> str:
        """The next line that it prints; empty once it has ended."""
        assert self.process.stdout is not None
        return self.process.stdout.readline().strip()

    def write_line(self, line: str = "") -> None:
        """Gives it a line to read."""
        assert self.process.stdin is not None
        print(line, file=self.process.stdin, flush=True)

    def kill(self) -> None:
        """Ends it at once, as the out-of-memory killer would."""
        self.process.kill()
        self.process.wait(PATIENCE_SECONDS)

    def end(self) -> str:
        """Lets it end by itself, expects that it ends well, and returns what it printed since."""
        output, errors = self.process.communicate(timeout=PATIENCE_SECONDS)
        assert self.process.returncode == 0, errors
        assert errors == ""
        return output


@contextmanager
def running(
    code: str, *arguments: str, python: str | Path = sys.executable, environment: dict[str, str] | None = None
) -> Iterator[Program]:
    """Runs code as a program with these arguments, and kills it if it still runs in the end."""
    process = subprocess.Popen(
        [str(python), "-c", code, *arguments],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, **(environment or {})},
        cwd=ROOT,
    )
    try:
        yield Program(process)
    finally:
        process.kill()
        process.communicate()


def outcome_of(code: str, *arguments: str, command: Sequence[str] = ()) -> "subprocess.CompletedProcess[str]":
    """Runs code as a program to its end.

    Args:
        code: The program.
        arguments: Its arguments.
        command: A command that runs the program which follows it, such as `unshare`.
    """
    return subprocess.run(
        [*command, sys.executable, "-c", code, *arguments],
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=False,
        cwd=ROOT,
    )


@functools.cache
def python_of(version: str) -> Path | None:
    """An interpreter of a version, without interproc: this one's base, one on the PATH, or one installed beside it."""
    beside = sorted(Path(sys.base_prefix).parent.glob(f"{version}*/bin/python{version}"))
    named = shutil.which(f"python{version}")
    base = [Path(sys.base_prefix, "bin", f"python{version}")]
    for path in [*base, *beside, *([Path(named)] if named else [])]:
        if path.exists() and _says(path, version):
            return path
    return None


def _says(path: Path, version: str) -> bool:
    code = "import multiprocessing.connection, sys; print('%d.%d' % sys.version_info[:2])"
    said = subprocess.run([path, "-I", "-c", code], capture_output=True, text=True, check=False)
    return said.returncode == 0 and said.stdout.strip() == version


@functools.cache
def own_mounts() -> tuple[str, ...] | None:
    """A command that runs another with mounts of its own; None where this user may not have them."""
    for command in (("unshare", "--mount"), ("unshare", "--mount", "--user", "--map-root-user")):
        if shutil.which(command[0]) is None:
            return None
        tried = subprocess.run([*command, "mount", "-t", "tmpfs", "none", "/mnt"], capture_output=True, check=False)
        if tried.returncode == 0:
            return command
    return None
