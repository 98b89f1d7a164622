"""Footprint: what this process holds that a test could leave behind."""

import gc
import multiprocessing
import os
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

PROC = Path("/proc")
POLL_SECONDS = 0.02


def lines_of(path: Path) -> list[str]:
    """The lines of a file below /proc, none if its process or thread has just ended."""
    try:
        return path.read_text(errors="replace").splitlines()
    except (FileNotFoundError, ProcessLookupError):
        return []


def descendants(pid: int) -> list[int]:
    """All processes below a process, ended but unreaped ones too; orphans adopted by others are not seen."""
    found: list[int] = []
    unvisited = [pid]
    while unvisited:
        tasks = (PROC / str(unvisited.pop()) / "task").glob("*/children")
        children = [int(child) for task in tasks for line in lines_of(task) for child in line.split()]
        found += children
        unvisited += children
    return found


def _processes() -> Iterator[str]:
    return (f"process {pid}" for pid in descendants(os.getpid()))


def _threads() -> Iterator[str]:
    return (f"thread {task.name}" for task in (PROC / "self/task").iterdir())


def _descriptors() -> Iterator[str]:
    for entry in (PROC / "self/fd").iterdir():
        try:
            yield f"descriptor of {entry.readlink()}"
        except FileNotFoundError:  # the one that listed the folder
            continue


def _memory_files() -> Iterator[str]:
    mapped = (line.split(maxsplit=5) for line in lines_of(PROC / "self/maps") if "/memfd:" in line)
    yield from {f"mapping of inode {inode} {path}" for _, _, _, _, inode, path in mapped}


def _named_shared_memory() -> Iterator[str]:
    return (f"file {entry}" for entry in Path("/dev/shm").iterdir())


def _described(name: str) -> str:
    """The name with what it runs now; that changes at exec, so it is not part of the name."""
    kind, _, number = name.partition(" ")
    if kind not in {"process", "thread"}:
        return name
    command = " ".join(lines_of(PROC / number / "cmdline")).replace("\0", " ").strip()
    return f"{name} ({' '.join(lines_of(PROC / number / 'comm')) or 'ended'}: {command or 'ended'})"


@dataclass(frozen=True)
class Footprint:
    """Processes, threads, descriptors and shared memory, each under a name that tells them apart where possible.

    Descriptors count by what they refer to, so that a second descriptor of the same thing shows and a reused number
    does not.
    """

    held: Counter[str]

    @classmethod
    def take(cls) -> "Footprint":
        """The present footprint."""
        kinds = (_processes, _threads, _descriptors, _memory_files, _named_shared_memory)
        return cls(Counter(name for kind in kinds for name in kind()))

    def left_behind(self, limit_seconds: float) -> list[str]:
        """What is held beyond this earlier footprint, once what is merely ending has had the time to end.

        Blocks until nothing is or the limit has passed. Garbage is collected and ended children are reaped meanwhile.
        """
        deadline = time.monotonic() + limit_seconds
        while (beyond := Footprint.take().held - self.held) and time.monotonic() < deadline:
            multiprocessing.active_children()
            gc.collect()
            time.sleep(POLL_SECONDS)
        return sorted(_described(name) for name in beyond.elements())
