"""Crew: worker processes that get ready, start together, and are timed each on its own.

All of them read the same clock: CLOCK_MONOTONIC is one for the machine, so a span may begin in one process and end in
another.
"""

import traceback
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from time import perf_counter
from typing import Any, Generic, Self, TypeVar

from interproc.bench.trial import FORK, FailedError

T = TypeVar("T")

Job = Callable[[], Callable[[], T]]
"""Gets a worker ready, untimed, and returns what is timed."""

READY = "ready"


@dataclass(frozen=True)
class Lap(Generic[T]):
    """When one worker began and ended, on the machine's monotonic clock, and what it returned."""

    start_s: float
    end_s: float
    result: T


@dataclass(frozen=True)
class Failure:
    """What a worker sends instead of a lap."""

    text: str


class Crew(Generic[T]):
    """Workers, one for each job. A context manager: leaving it kills them.

    A worker lives until then, so that nothing it still has to deliver is lost with it.
    """

    def __init__(self, jobs: Sequence[Job[T]]) -> None:
        self._ends: list[Connection[Any, Any]] = []
        self._processes = []
        for job in jobs:
            ours, theirs = FORK.Pipe()
            process = FORK.Process(target=_work, args=(job, theirs, [*self._ends, ours]))
            process.start()
            theirs.close()
            self._ends.append(ours)
            self._processes.append(process)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        for process in self._processes:
            process.kill()
        for process, end in zip(self._processes, self._ends, strict=True):
            process.join()
            process.close()
            end.close()

    @property
    def pids(self) -> list[int]:
        """The workers' process ids."""
        return [process.pid for process in self._processes if process.pid is not None]

    def begin(self) -> None:
        """Blocks until all are ready, then starts them.

        Raises:
            FailedError: One raised or died.
        """
        self._collect()
        for end in self._ends:
            end.send(None)

    def laps(self) -> list[Lap[T]]:
        """Blocks until all have finished.

        Raises:
            FailedError: One raised or died; the others are not waited for.
        """
        return self._collect()

    def _collect(self) -> list[Any]:
        answers: dict[Any, Any] = {}
        while len(answers) < len(self._ends):
            for end in wait([end for end in self._ends if end not in answers]):
                answers[end] = self._answer(end)
        return [answers[end] for end in self._ends]

    def _answer(self, end: Any) -> Any:
        try:
            answer = end.recv()
        except EOFError:
            raise FailedError("a worker process died") from None
        if isinstance(answer, Failure):
            raise FailedError(answer.text)
        return answer


def run_together(jobs: Sequence[Job[T]]) -> list[Lap[T]]:
    """Runs the jobs as one crew and returns their laps in the same order."""
    with Crew(jobs) as crew:
        crew.begin()
        return crew.laps()


def _work(job: Job[T], end: "Connection[Any, Any]", not_mine: "Sequence[Connection[Any, Any]]") -> None:
    for other in not_mine:
        other.close()  # or the others would not notice when the parent dies
    try:
        timed = job()
        end.send(READY)
        end.recv()
        start_s = perf_counter()
        result = timed()
        end_s = perf_counter()
        end.send(Lap(start_s, end_s, result))
    except Exception:
        end.send(Failure(traceback.format_exc().strip()))
    with suppress(EOFError):
        end.recv()
