"""What became of the tests of one class under one start method."""

import json
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

# Where a fixture of a class or module failed, or its process ended between tests, this stands for the test.
NO_TEST = "<outside of tests>"


class Kind(StrEnum):
    """How a test ended."""

    PASSED = "passed"
    FAILED = "failed"
    SKIPPED = "skipped"
    HUNG = "hung"
    CRASHED = "crashed"
    NOT_RUN = "not run"


BAD = frozenset({Kind.FAILED, Kind.HUNG, Kind.CRASHED, Kind.NOT_RUN})


@dataclass(frozen=True)
class Outcome:
    """How one test ended, and the traceback or reason that goes with it."""

    kind: Kind
    detail: str = ""


@dataclass
class ClassOutcomes:
    """The outcomes of one class.

    Attributes:
        method: The start method.
        name: The class.
        tests: By the test's name.
        output: What the class's processes printed.
        left_behind: The processes that were still there when the class had ended and some time had passed.
        seconds: How long the class took.
    """

    method: str
    name: str
    tests: dict[str, Outcome] = field(default_factory=dict)
    output: str = ""
    left_behind: list[str] = field(default_factory=list)
    seconds: float = 0.0

    def count(self, kinds: frozenset[Kind]) -> int:
        """How many tests ended in one of these ways."""
        return sum(outcome.kind in kinds for outcome in self.tests.values())


def read_record(record: Path, tests: list[str], exit_code: int, output: str) -> dict[str, Outcome]:
    """Makes out of a class's record what became of each of its tests.

    Args:
        record: What `class_run` wrote; may be absent or end anywhere.
        tests: All tests of the class.
        exit_code: How the process ended; zero if it had nothing left to do.
        output: What it printed.
    """
    found: dict[str, Outcome] = {}
    running = NO_TEST
    for line in record.read_text().splitlines() if record.exists() else ():
        event = json.loads(line)
        name, detail = event["test"], event["detail"]
        match event["event"]:
            case "started":
                running = name
            case "ended":
                running = NO_TEST
            case kind if name in tests:
                if name not in found or found[name].kind is not Kind.FAILED:
                    found[name] = Outcome(Kind(kind), detail)
                running = NO_TEST
            case "skipped":  # by the fixture of the class or module
                found.update((test, Outcome(Kind.SKIPPED, detail)) for test in tests if test not in found)
            case _:
                found[NO_TEST] = Outcome(Kind.FAILED, f"{name}\n{detail}")
    if exit_code:
        kind = Kind.HUNG if "Timeout (" in output else Kind.CRASHED
        found[running] = Outcome(kind, f"exit code {exit_code}\n{output[-8000:]}")
    for name in tests:
        found.setdefault(name, Outcome(Kind.NOT_RUN, "the class ended before"))
    return found
