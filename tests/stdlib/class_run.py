"""Runs one class of the suite in this process and writes down what happens to each test, as it happens.

    python -m tests.stdlib.class_run METHOD CLASS RECORD PATIENCE_SECONDS TEST...
    python -m tests.stdlib.class_run METHOD --list RECORD

RECORD is a file; a line of JSON is added to it for each event. No descriptor stays open for it: the tests count theirs.
A test that takes longer than PATIENCE_SECONDS ends the process, after the stacks of all threads were printed.
"""

import faulthandler
import json
import signal
import sys
import unittest
from pathlib import Path
from types import TracebackType
from typing import Any

ErrorInfo = tuple[type[BaseException], BaseException, TracebackType] | tuple[None, None, None]


class Recorder(unittest.TestResult):
    """Writes every outcome to the record, and watches over the time of each test."""

    def __init__(self, record: Path, patience_seconds: float) -> None:
        super().__init__()
        self._record = record
        self._patience_seconds = patience_seconds
        self._watch()

    def startTest(self, test: unittest.TestCase) -> None:
        """Notes which test runs."""
        super().startTest(test)
        self._watch()
        self._write("started", test)

    def stopTest(self, test: unittest.TestCase) -> None:
        """Goes on watching: the fixtures of classes and modules run between tests."""
        super().stopTest(test)
        self._watch()

    def addSuccess(self, test: unittest.TestCase) -> None:
        """A test passed."""
        self._write("passed", test)

    def addSkip(self, test: unittest.TestCase, reason: str) -> None:
        """A test, or all of a class, does not apply here."""
        self._write("skipped", test, reason)

    def addFailure(self, test: unittest.TestCase, err: Any) -> None:
        """An assertion failed."""
        super().addFailure(test, err)
        self._write("failed", test, self.failures[-1][1])

    def addError(self, test: unittest.TestCase, err: Any) -> None:
        """Something else was raised, perhaps by a fixture."""
        super().addError(test, err)
        self._write("failed", test, self.errors[-1][1])

    def addSubTest(self, test: unittest.TestCase, subtest: unittest.TestCase, err: Any) -> None:
        """A part of a test ended."""
        known = len(self.errors) + len(self.failures)
        super().addSubTest(test, subtest, err)
        if len(self.errors) + len(self.failures) > known:
            detail = [*self.failures, *self.errors][-1][1]
            self._write("failed", test, f"{subtest}\n{detail}")

    def addExpectedFailure(self, test: unittest.TestCase, err: Any) -> None:
        """CPython's own tests say that this one fails."""
        self._write("passed", test)

    def addUnexpectedSuccess(self, test: unittest.TestCase) -> None:
        """CPython's own tests say that this one fails, and it did not."""
        self._write("failed", test, "unexpected success")

    def ended(self) -> None:
        """The class ran to its end; the process has to end in time too."""
        self._watch()
        self._write("ended", None)

    def _watch(self) -> None:
        faulthandler.dump_traceback_later(self._patience_seconds, exit=True)

    def _write(self, event: str, test: object, detail: str = "") -> None:
        # What stands for a fixture is no TestCase: its id is like "setUpClass (module.Class)".
        name = getattr(test, "_testMethodName", None) or (str(test).partition(" ")[0] if test else "")
        line = json.dumps({"event": event, "test": name, "detail": detail})
        with self._record.open("a") as file:
            file.write(f"{line}\n")


def main() -> None:
    """Runs the class, or lists all."""
    from tests.stdlib.catalog import absent_parts, catalog

    method, name, record = sys.argv[1], sys.argv[2], Path(sys.argv[3])
    classes = catalog(method)
    if name == "--list":
        names = {name: list(tests) for name, tests in classes.items()}
        record.write_text(json.dumps({"absent": absent_parts(), "classes": names}))
        return
    # Whoever runs this in the background may have had it ignored, and tests interrupt themselves.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    result = Recorder(record, float(sys.argv[4]))
    unittest.TestSuite(classes[name][test] for test in sys.argv[5:]).run(result)
    result.ended()


if __name__ == "__main__":
    main()
