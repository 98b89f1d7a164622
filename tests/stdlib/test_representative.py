"""A bounded part of CPython's suite under every start method; all of it is `make test-stdlib`."""

import sysconfig
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.stdlib.catalog import BODIES, absent_parts
from tests.stdlib.differences import judge, read_differences
from tests.stdlib.report import report
from tests.stdlib.runner import Runner
from tests.stdlib.suite import METHODS, Choice, plan, run

CLASSES = (
    "TestSimpleQueue",
    "WithProcessesTestConnection",
    "WithProcessesTestEvent",
    "WithProcessesTestLock",
    "WithProcessesTestPicklingConnections",
    "WithProcessesTestQueue",
    "WithProcessesTestSemaphore",
    "WithProcessesTestSharedCTypes",
    "WithProcessesTestSubclassingProcess",
    "WithProcessesTestValue",
)
PATIENCE_SECONDS = 20.0

pytestmark = pytest.mark.skipif(BODIES in absent_parts(), reason=f"this Python was installed without {BODIES}")


@pytest.fixture(scope="module")
def runner() -> Iterator[Runner]:
    with tempfile.TemporaryDirectory(prefix="suite-") as folder:
        yield Runner(Path(folder), PATIENCE_SECONDS)


@pytest.mark.parametrize("method", METHODS)
def test_classes_do_as_expected(runner: Runner, method: str) -> None:
    version, differences = sysconfig.get_python_version(), read_differences()
    _, jobs = plan(runner, Choice((method,), CLASSES), differences, version)
    assert [job.name for job in jobs] == list(CLASSES)
    runs = run(runner, jobs, at_a_time=2, tell=lambda outcomes: None)
    verdicts = judge(runs, differences, version)
    assert all(verdict.expected for verdict in verdicts), report(runs, verdicts, [])
