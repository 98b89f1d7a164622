"""Runs the chosen classes under the chosen start methods, as many at a time as asked for."""

from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from fnmatch import fnmatchcase

from tests.stdlib.differences import Difference, Sort, find
from tests.stdlib.outcomes import ClassOutcomes, Kind, Outcome
from tests.stdlib.runner import Runner

METHODS = ("fork", "spawn", "forkserver")


@dataclass(frozen=True)
class Choice:
    """What is run: start methods, and patterns for ids of tests; no pattern means all."""

    methods: tuple[str, ...] = METHODS
    patterns: tuple[str, ...] = ()

    def takes(self, name: str, test: str) -> bool:
        """Whether a test of a class is to be run."""
        ids = (name, f"{name}.{test}")
        return not self.patterns or any(fnmatchcase(id, pattern) for id in ids for pattern in self.patterns)


@dataclass(frozen=True)
class Job:
    """The tests of one class that are to be run under one start method, and those that are left out."""

    method: str
    name: str
    tests: list[str]
    left_out: dict[str, Outcome]


def plan(runner: Runner, choice: Choice, differences: list[Difference], version: str) -> tuple[list[str], list[Job]]:
    """Returns the parts of the suite that are absent here, and the jobs in the order of methods and classes."""
    absent: set[str] = set()
    jobs = []
    for method in choice.methods:
        listing = runner.list_classes(method)
        absent.update(listing.absent)
        for name, tests in listing.classes.items():
            job = Job(method, name, [], {})
            for test in tests:
                known = find(differences, f"{name}.{test}", version, method)
                if not choice.takes(name, test):
                    continue
                if known and known.kind is Sort.LEFT_OUT:
                    job.left_out[test] = Outcome(Kind.SKIPPED, known.reason)
                else:
                    job.tests.append(test)
            if job.tests or job.left_out:
                jobs.append(job)
    return sorted(absent), jobs


def run(
    runner: Runner, jobs: Iterable[Job], at_a_time: int, tell: Callable[[ClassOutcomes], None]
) -> list[ClassOutcomes]:
    """Runs jobs.

    Args:
        runner: Runs one class.
        jobs: What to run.
        at_a_time: How many classes run side by side.
        tell: Is called with each result as it comes.

    Returns:
        The results in the order of the jobs.
    """

    def run_one(job: Job) -> ClassOutcomes:
        outcomes = runner.run(job.method, job.name, job.tests) if job.tests else ClassOutcomes(job.method, job.name)
        outcomes.tests.update(job.left_out)
        tell(outcomes)
        return outcomes

    with ThreadPoolExecutor(at_a_time) as threads:
        try:
            return list(threads.map(run_one, jobs))
        except BaseException:
            threads.shutdown(wait=False, cancel_futures=True)
            runner.kill()
            raise
