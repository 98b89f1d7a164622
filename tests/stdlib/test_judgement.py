"""What is made of a class's record, and of outcomes by the differences that are meant to be."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.house.floors import ROOT
from tests.stdlib.differences import Difference, Sort, judge, read_differences, without_tests
from tests.stdlib.outcomes import NO_TEST, ClassOutcomes, Kind, Outcome, read_record
from tests.stdlib.report import report
from tests.stdlib.suite import METHODS

SECONDS = 50
HANGING_CLASS = """\
import sys, threading, unittest
from pathlib import Path
from tests.stdlib.class_run import Recorder


class Hanging(unittest.TestCase):
    def test_1_quick(self): pass
    def test_2_endless(self): threading.Event().wait()
    def test_3_later(self): pass


suite = unittest.defaultTestLoader.loadTestsFromTestCase(Hanging)
recorder = Recorder(Path(sys.argv[1]), patience_seconds=1.0)
suite.run(recorder)
"""


def write(record: Path, *events: tuple[str, str]) -> Path:
    """Writes a record."""
    lines = [json.dumps({"event": event, "test": test, "detail": f"about {test}"}) for event, test in events]
    record.write_text("".join(f"{line}\n" for line in lines))
    return record


def kinds(record: Path, tests: list[str], output: str = "", exit_code: int = 0) -> dict[str, Kind]:
    """How tests ended according to a record."""
    return {name: outcome.kind for name, outcome in read_record(record, tests, exit_code, output).items()}


def test_record_of_a_class_that_ended(tmp_path: Path) -> None:
    record = write(
        tmp_path / "record",
        ("started", "a"),
        ("passed", "a"),
        ("started", "b"),
        ("skipped", "b"),
        ("started", "c"),
        ("failed", "c"),
        ("passed", "c"),
        ("ended", ""),
    )
    assert kinds(record, ["a", "b", "c"]) == {"a": Kind.PASSED, "b": Kind.SKIPPED, "c": Kind.FAILED}


def test_class_that_hangs_is_told_from_one_that_crashes(tmp_path: Path) -> None:
    record = write(tmp_path / "record", ("started", "a"), ("passed", "a"), ("started", "b"))
    left = {"a": Kind.PASSED, "c": Kind.NOT_RUN}
    assert kinds(record, ["a", "b", "c"], "Timeout (0:01:00)!", 1) == {**left, "b": Kind.HUNG}
    assert kinds(record, ["a", "b", "c"], "Segmentation fault", -11) == {**left, "b": Kind.CRASHED}


def test_fixtures_that_skip_fail_or_crash(tmp_path: Path) -> None:
    skipped = write(tmp_path / "skipped", ("skipped", "setUpClass"), ("ended", ""))
    assert kinds(skipped, ["a", "b"]) == {"a": Kind.SKIPPED, "b": Kind.SKIPPED}
    failed = write(tmp_path / "failed", ("failed", "setUpModule"), ("ended", ""))
    assert kinds(failed, ["a"]) == {NO_TEST: Kind.FAILED, "a": Kind.NOT_RUN}
    assert kinds(tmp_path / "absent", ["a"], exit_code=1) == {NO_TEST: Kind.CRASHED, "a": Kind.NOT_RUN}


def test_class_whose_process_does_not_end(tmp_path: Path) -> None:
    record = write(tmp_path / "record", ("started", "a"), ("passed", "a"), ("ended", ""))
    assert kinds(record, ["a"], "Timeout (0:01:00)!", 1) == {"a": Kind.PASSED, NO_TEST: Kind.HUNG}


def test_recorder_ends_a_process_that_hangs(tmp_path: Path) -> None:
    record = tmp_path / "record"
    command = [sys.executable, "-c", HANGING_CLASS, str(record)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False, cwd=ROOT)
    tests = ["test_1_quick", "test_2_endless", "test_3_later"]
    assert list(kinds(record, tests, done.stderr, done.returncode).values()) == [Kind.PASSED, Kind.HUNG, Kind.NOT_RUN]
    assert "in test_2_endless" in done.stderr


@pytest.mark.parametrize(
    ("kind", "listed", "expected"),
    [
        (Kind.PASSED, False, True),
        (Kind.PASSED, True, False),
        (Kind.FAILED, False, False),
        (Kind.FAILED, True, True),
        (Kind.HUNG, False, False),
        (Kind.CRASHED, False, False),
        (Kind.NOT_RUN, False, False),
        (Kind.SKIPPED, False, True),
        (Kind.SKIPPED, True, True),
    ],
)
def test_verdict(kind: Kind, listed: bool, expected: bool) -> None:
    runs = [ClassOutcomes("fork", "TestA", {"test_b": Outcome(kind, "some detail")})]
    differences = [Difference(("TestA.test_?",), Sort.PRIVATE, "some reason")] if listed else []
    (verdict,) = judge(runs, differences, "3.13")
    assert verdict.expected is expected
    text = report(runs, [verdict], [])
    assert ("some detail" in text) is (not expected and not listed)
    assert ("stale" in text) is (not expected and listed)


def test_difference_covers_its_versions_and_methods_only() -> None:
    difference = Difference(("TestA.*",), Sort.DIFFERS, "", ("3.12", "3.13"), ("spawn",))
    assert difference.applies("TestA.test_b", "3.12", "spawn")
    assert not difference.applies("TestA.test_b", "3.11", "spawn")
    assert not difference.applies("TestA.test_b", "3.12", "fork")
    assert not difference.applies("TestB.test_b", "3.12", "spawn")


def test_difference_without_tests_is_named() -> None:
    verdicts = judge([ClassOutcomes("fork", "TestA", {"test_b": Outcome(Kind.FAILED)})], [], "3.13")
    differences = [
        Difference(("TestA.*", "TestC.*"), Sort.DIFFERS, "some reason"),
        Difference(("TestD.*",), Sort.DIFFERS, "some reason", ("3.12",)),
    ]
    assert without_tests(differences, verdicts, "3.13") == ["TestC.*"]


def test_every_difference_says_what_it_means() -> None:
    for difference in read_differences():
        assert difference.tests
        assert difference.reason
        assert all("." in test for test in difference.tests)
        assert set(difference.methods) <= set(METHODS)
        assert set(difference.versions) <= {"3.11", "3.12", "3.13"}
