"""Crew: the processes of a pipeline, started together, watched, and never left behind."""

import signal
from collections.abc import Sequence
from multiprocessing.connection import wait
from multiprocessing.process import BaseProcess
from types import TracebackType
from typing import Any

from interproc.demo.collector import LOOK_UP_SECONDS, Collector
from interproc.demo.progress import OnProgress

ENDING_SECONDS = 1.0


class WorkerDied(Exception):
    """A process ended before its work was done; the text names it and fits one line."""


class Crew:
    """Processes, the queues between them, and the collector of their results; as a context it ends them all."""

    def __init__(self, processes: Sequence[BaseProcess], queues: Sequence[Any], collector: Collector) -> None:
        self._processes = processes
        self._queues = queues
        self._collector = collector

    def __enter__(self) -> "Crew":
        return self

    def start(self) -> None:
        """Starts all; first the processes, since a process should not fork once it has threads.

        They are born with SIGINT blocked, and so not interrupted before their body says what they do about it.
        """
        for process in self._processes:
            before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
            try:
                process.start()
            finally:
                signal.pthread_sigmask(signal.SIG_SETMASK, before)
        self._collector.start()

    def work_until_done(self, on_progress: OnProgress) -> None:
        """Waits until the results are complete and all processes have ended.

        Raises:
            WorkerDied: A process did not end well, or all ended with results missing.
        """
        running = {process.sentinel: process for process in self._processes}
        while (self._collector.is_alive() or running) and self._collector.error is None:
            ended = wait(list(running), LOOK_UP_SECONDS)
            for sentinel in [sentinel for sentinel in running if sentinel in ended]:
                _check(running.pop(sentinel))
            if not running:
                self._collector.give_up_when_empty()
            on_progress(self._collector.progress)
        on_progress(self._collector.progress)
        if self._collector.error is not None:
            raise self._collector.error
        if not self._collector.complete:
            raise WorkerDied("all workers have ended, but not all results are here")

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        started = [process for process in self._processes if process.pid is not None]
        for process in started:
            process.kill()
        for process in started:
            process.join()
            process.close()
        self._collector.give_up_when_empty()
        if self._collector.ident is not None:
            self._collector.join(ENDING_SECONDS)
        for queue in self._queues:
            queue.close()
            if error is None:
                queue.join_thread()
            else:
                queue.cancel_join_thread()  # nobody is left who would take what is still in there


def _check(process: BaseProcess) -> None:
    """Raises WorkerDied unless a process that has ended ended well."""
    process.join()
    if process.exitcode is not None and process.exitcode < 0:
        how = f"was killed by {signal.Signals(-process.exitcode).name}"
    elif process.exitcode:
        how = f"ended with exit code {process.exitcode}"
    else:
        return
    raise WorkerDied(f"{process.name} (process {process.pid}) {how}")
