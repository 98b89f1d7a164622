"""The crew of a pool: its workers as the supervising thread sees them, and how they are started and ended."""

from __future__ import annotations

import itertools
import os
import signal
from collections import deque
from collections.abc import Callable, Iterable
from contextlib import suppress
from typing import Any

from interproc.pooling.imports import start_without_imports
from interproc.pooling.local_queue import LocalQueue, WatchedQueue
from interproc.pooling.tasks import Task
from interproc.pooling.worker import serve, serve_in_thread
from interproc.queues import SimpleQueue

_REAPING_SECONDS = 5.0


class Member:
    """One worker.

    Attributes:
        number: What messages call it; no other worker of the pool ever has the same.
        process: Its process or thread.
        tasks: The queue of what it shall do.
        assigned: What was put there and has no outcome yet, in order.
        known_jobs: The jobs whose definition it was sent.
        is_ready: Whether its initializer is through.
        is_dying: Whether it was killed, or was told to leave.
        depth: How many tasks it may have at a time, by how long they take.
        heard_ns: When its last outcome came, or it got the first of its tasks; since then it has been at the first.
        handed_count: How many tasks it was handed and still has or has done.
        verdict: What becomes of the task that it was killed for.
    """

    def __init__(self, number: int, process: Any, tasks: Any, death_fd: int, owns_fd: bool) -> None:
        self.number = number
        self.process = process
        self.tasks = tasks
        self.death_fd = death_fd
        self._owns_fd = owns_fd
        self.assigned: deque[Task] = deque()
        self.known_jobs: set[int] = set()
        self.is_ready = False
        self.is_dying = False
        self.depth = 1
        self.heard_ns = 0
        self.handed_count = 0
        self.done_count = 0
        self.paced_count = 0
        self.paced_ns = 0
        self.verdict: tuple[Task, BaseException] | None = None

    def send(self, signal_number: int) -> None:
        """Sends a signal to a process that has not been reaped."""
        if self.death_fd >= 0:
            with suppress(OSError):
                if self._owns_fd:
                    signal.pidfd_send_signal(self.death_fd, signal_number)
                else:
                    os.kill(self.process.pid, signal_number)

    def reap(self) -> int | None:
        """Returns the exit code of a process that has ended; None where it cannot be known."""
        if self.death_fd < 0:
            return 0
        code: int | None = None
        with suppress(ValueError):  # the program closed the process
            self.process.join(_REAPING_SECONDS)
            code = self.process.exitcode
        if self._owns_fd:
            os.close(self.death_fd)
        self.death_fd = -1
        return code


class Crew:
    """Starts the processes of a pool.

    Args:
        make: Makes a process that is not started yet; takes `target` and `args`.
        initializer: What each worker calls first, with `initargs`.
        max_tasks: After how many tasks a worker ends; None for never.
        start_method: How its processes are started. The server of `forkserver` tells their deaths; those of our own
            children are seen in the process itself, whoever else holds its descriptors.
    """

    can_kill = True
    seals = True

    def __init__(
        self,
        make: Callable[..., Any],
        initializer: Callable[..., object] | None,
        initargs: Iterable[Any],
        max_tasks: int | None,
        start_method: str,
    ) -> None:
        self._make = make
        self._initializer = initializer
        self._initargs = initargs
        self.max_tasks = max_tasks
        self._watches_pid = start_method in ("fork", "spawn") and hasattr(os, "pidfd_open")
        self._forks = start_method == "fork"
        self._numbers = itertools.count(1)
        self.results: Any = self._make_results()

    def _make_results(self) -> Any:
        return SimpleQueue[Any]()

    def hire(self, tasks: Any = None) -> Member:
        """Starts a worker; blocks until its process is started.

        Args:
            tasks: An empty queue that nobody else uses any more; None for a new one.

        Raises:
            OSError: There are no more processes, descriptors or memory.
            UnsendableError: The initializer or its arguments cannot be sent.
        """
        number = next(self._numbers)
        tasks = SimpleQueue[Any]() if tasks is None else tasks
        args = (number, tasks, self.results, self._initializer, self._initargs, self.max_tasks)
        process = self._make(target=serve, args=args)
        process.name = process.name.replace("Process", "PoolWorker")
        process.daemon = True
        if self._forks:
            start_without_imports(process.start)
        else:
            process.start()
        if self._watches_pid:
            with suppress(OSError):  # no more descriptors: the sentinel is there already
                return Member(number, process, tasks, os.pidfd_open(process.pid), True)
        return Member(number, process, tasks, getattr(process, "sentinel", -1), False)


class ThreadCrew(Crew):
    """Starts the threads of a pool, which nobody can kill."""

    can_kill = False
    seals = False

    def _make_results(self) -> Any:
        return WatchedQueue()

    def hire(self, tasks: Any = None) -> Member:
        """Starts a thread."""
        number = next(self._numbers)
        tasks = LocalQueue() if tasks is None else tasks
        args = (number, tasks, self.results, self._initializer, self._initargs, self.max_tasks)
        thread = self._make(target=serve_in_thread, args=args)
        thread.name = thread.name.replace("Process", "PoolWorker")
        thread.daemon = True
        thread.start()
        return Member(number, thread, tasks, -1, False)
