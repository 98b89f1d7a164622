"""Owners: the processes that something with a name belongs to.

A pid is used again, but with its start time it names one process for ever within its pid namespace. Something belongs
to the process that made it and to those above it in the same program, as far as they are known, so that a worker may
end before the others have what it made.
"""

from __future__ import annotations

import multiprocessing
import os

TYPE_CHECKING = False  # without importing typing: see ARCHITECTURE.md on import time
if TYPE_CHECKING:
    Process = tuple[int, int]  # pid, and start time in clock ticks since the machine's start

_MOST = 16  # of a chain of ancestors; in a longer one those in the middle are left out
_ENDED = frozenset("ZX")


class Owners:
    """Processes, and the pid namespace in which their numbers mean something.

    Attributes:
        namespace: The inode of the namespace.
        processes: The processes.
    """

    def __init__(self, namespace: int, processes: tuple[Process, ...]) -> None:
        self.namespace = namespace
        self.processes = processes

    @classmethod
    def here(cls) -> Owners:
        """This process and those above it."""
        return _lineage.owners()

    @classmethod
    def from_text(cls, text: str) -> Owners:
        """Reads what `str()` made.

        Raises:
            ValueError: It is something else.
        """
        namespace, _, processes = text.partition("/")
        pairs = (process.split(":") for process in processes.split(","))
        return cls(int(namespace), tuple((int(pid), int(start)) for pid, start in pairs))

    def __str__(self) -> str:
        return f"{self.namespace}/{','.join(f'{pid}:{start}' for pid, start in self.processes)}"

    def have_ended(self, but_for: int = 0) -> bool:
        """Whether all of them have certainly ended; of those in another pid namespace nothing is certain.

        Args:
            but_for: A process that counts as ended, because it is about to.
        """
        if self.namespace != _lineage.owners().namespace:
            return False
        return not any(pid != but_for and _start_of(pid) == start for pid, start in self.processes)


class _Lineage:
    """This process, and those above it in the same program."""

    def __init__(self) -> None:
        self._pid = 0  # a spawned process knows its parent only after it has imported what it needs
        self._owners = Owners(_namespace(), _ancestors())

    def owners(self) -> Owners:
        """What this process makes belongs to these. Those from before a fork still count in the child."""
        if self._pid != os.getpid():
            processes = tuple(dict.fromkeys((*self._owners.processes, *_ancestors())))
            if len(processes) > _MOST:
                processes = (processes[0], *processes[1 - _MOST :])
            self._owners = Owners(_namespace(), processes)
            self._pid = os.getpid()
        return self._owners


def _ancestors() -> tuple[Process, ...]:
    """This process, and before it the processes that multiprocessing says it comes from."""
    pids = [os.getpid()]
    parent = multiprocessing.parent_process()
    if parent is not None and parent.pid is not None and parent.is_alive():
        pids.append(parent.pid)
        # Further up the kernel's parents are the program's, or its fork server, which lives as long as the program.
        generations: tuple[int, ...] = multiprocessing.current_process()._identity
        for _ in generations[1:_MOST]:
            status = _status_of(pids[-1])
            if status is None or int(status[1]) <= 1:
                break
            pids.append(int(status[1]))
    found = ((pid, _start_of(pid)) for pid in reversed(pids))
    return tuple((pid, start) for pid, start in found if start is not None)


def _start_of(pid: int) -> int | None:
    """When a process started; None if it has ended, even if nobody has taken note of that yet."""
    fields = _status_of(pid)
    return None if fields is None or fields[0] in _ENDED else int(fields[19])


def _status_of(pid: int) -> list[str] | None:
    """The fields of /proc/<pid>/stat after the name, which may contain anything."""
    try:
        fd = os.open(f"/proc/{pid}/stat", os.O_RDONLY | os.O_CLOEXEC)
        try:
            return os.read(fd, 4096).decode(errors="replace").rpartition(")")[2].split()
        finally:
            os.close(fd)
    except (FileNotFoundError, ProcessLookupError):
        return None


def _namespace() -> int:
    return os.stat("/proc/self/ns/pid").st_ino


_lineage = _Lineage()

__all__ = ["Owners"]
