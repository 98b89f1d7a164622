"""The differences that are meant to be, and the judgement of outcomes by them."""

import tomllib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from fnmatch import fnmatchcase
from pathlib import Path

from tests.stdlib.outcomes import BAD, ClassOutcomes, Kind

FILE = Path(__file__).with_name("differences.toml")


class Sort(StrEnum):
    """Why a test does not pass."""

    PRIVATE = "private"
    DIFFERS = "differs"
    LEFT_OUT = "left out"


@dataclass(frozen=True)
class Difference:
    """Tests that are expected not to pass; see the head of differences.toml."""

    tests: tuple[str, ...]
    kind: Sort
    reason: str
    versions: tuple[str, ...] = ()
    methods: tuple[str, ...] = ()

    def applies(self, test: str, version: str, method: str) -> bool:
        """Whether it covers a test."""
        return (
            (not self.versions or version in self.versions)
            and (not self.methods or method in self.methods)
            and any(fnmatchcase(test, pattern) for pattern in self.tests)
        )


def read_differences(file: Path = FILE) -> list[Difference]:
    """Reads the file.

    Raises:
        TypeError, ValueError: An entry lacks something, or has something that means nothing.
    """
    return [_difference(**entry) for entry in tomllib.loads(file.read_text()).get("difference", [])]


def _difference(
    *, tests: list[str], kind: str, reason: str, versions: Sequence[str] = (), methods: Sequence[str] = ()
) -> Difference:
    return Difference(tuple(tests), Sort(kind), reason, tuple(versions), tuple(methods))


@dataclass(frozen=True)
class Verdict:
    """What is to be said about one test."""

    method: str
    test: str
    kind: Kind
    difference: Difference | None

    @property
    def expected(self) -> bool:
        """Whether the test did what it should: pass, or be skipped, unless it is listed."""
        return self.kind is Kind.SKIPPED or (self.kind in BAD) == (self.difference is not None)


def find(differences: list[Difference], test: str, version: str, method: str) -> Difference | None:
    """Returns the first difference that covers a test."""
    return next((entry for entry in differences if entry.applies(test, version, method)), None)


def judge(runs: Iterable[ClassOutcomes], differences: list[Difference], version: str) -> list[Verdict]:
    """Compares outcomes with expectations."""
    verdicts = []
    for run in runs:
        for name, outcome in run.tests.items():
            test = f"{run.name}.{name}"
            verdicts.append(Verdict(run.method, test, outcome.kind, find(differences, test, version, run.method)))
    return verdicts


def without_tests(differences: list[Difference], verdicts: list[Verdict], version: str) -> list[str]:
    """Returns the patterns for this version that name no test of a whole run."""
    tests = {verdict.test for verdict in verdicts}
    return [
        pattern
        for entry in differences
        if not entry.versions or version in entry.versions
        for pattern in entry.tests
        if not any(fnmatchcase(test, pattern) for test in tests)
    ]
