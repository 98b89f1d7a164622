"""joblib on interproc's contexts.

`Parallel` takes a context in place of a backend's name, and then runs its multiprocessing backend on it. Its default
backend, loky, has no place for a context; interproc's objects reach its workers all the same. loky's own executors take
contexts, the reusable one any but fork.
"""

from collections.abc import Iterator
from pathlib import Path

import joblib
import numpy
import pytest
from joblib.externals import loky

import interproc
from interproc.context import SharedMemoryContext
from tests.contexts import PATIENCE_SECONDS
from tests.ecosystem import jobs


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Gives joblib a folder, because some of what it puts there stays until the program ends."""
    monkeypatch.setenv("JOBLIB_TEMP_FOLDER", str(tmp_path))


@pytest.fixture
def reusable_executor_ends() -> Iterator[None]:
    """Ends the executor that loky would keep."""
    yield
    loky.get_reusable_executor().shutdown(wait=True)


def test_parallel_with_a_context(context: SharedMemoryContext) -> None:
    squares = joblib.Parallel(n_jobs=2, backend=context)(joblib.delayed(jobs.square)(number) for number in range(50))
    assert squares == [number**2 for number in range(50)]


def test_parallel_maps_large_arrays(context: SharedMemoryContext) -> None:
    matrices = [numpy.full((jobs.MATRIX_SIZE, jobs.MATRIX_SIZE), float(number)) for number in range(4)]
    traces = joblib.Parallel(n_jobs=2, backend=context, max_nbytes="1M")(
        joblib.delayed(jobs.trace)(matrix) for matrix in matrices
    )
    assert traces == [float(jobs.MATRIX_SIZE * number) for number in range(4)]


def test_parallel_raises_what_a_job_raised(context: SharedMemoryContext) -> None:
    with pytest.raises(ValueError, match="on purpose"):
        joblib.Parallel(n_jobs=2, backend=context)(joblib.delayed(jobs.fail)("on purpose") for _ in range(2))


def test_loky_workers_take_locks_values_and_queues(reusable_executor_ends: None) -> None:
    reports: interproc.Queue[int] = interproc.Queue()
    lock, counter = interproc.Lock(), interproc.Value("i")
    joblib.Parallel(n_jobs=2)(
        joblib.delayed(jobs.count_and_report)(lock, counter, reports, number) for number in range(20)
    )
    assert counter.value == sum(range(20))
    assert sorted(reports.get(timeout=PATIENCE_SECONDS) for _ in range(20)) == list(range(20))


@pytest.mark.parametrize("context", ["spawn", "forkserver"], indirect=True)  # loky refuses fork
def test_reusable_executor_takes_a_context(context: SharedMemoryContext) -> None:
    offset = 5
    with loky.get_reusable_executor(2, context=context) as executor:
        assert list(executor.map(jobs.square, range(10), timeout=PATIENCE_SECONDS)) == [n**2 for n in range(10)]
        assert executor.submit(lambda number: number + offset, 1).result(PATIENCE_SECONDS) == 6
