"""What concurrent.futures' process pool offers beyond submitting, on interproc's contexts."""

from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import Any

import pytest

from interproc.context import SharedMemoryContext
from tests.contexts import PATIENCE_SECONDS
from tests.ecosystem import jobs


def test_map_in_chunks(context: SharedMemoryContext) -> None:
    with ProcessPoolExecutor(2, mp_context=context) as pool:
        results = list(pool.map(jobs.square, range(1000), chunksize=64, timeout=PATIENCE_SECONDS))
    assert results == [number**2 for number in range(1000)]


def test_initializer_gets_a_queue(context: SharedMemoryContext) -> None:
    reports = context.Queue()
    with ProcessPoolExecutor(2, mp_context=context, initializer=jobs.keep, initargs=(reports,)) as pool:
        list(pool.map(jobs.report_what_is_kept, range(10), timeout=PATIENCE_SECONDS))
    assert sorted(reports.get(timeout=PATIENCE_SECONDS) for _ in range(10)) == list(range(10))


def test_death_in_the_initializer_breaks_the_pool(context: SharedMemoryContext) -> None:
    with (
        ProcessPoolExecutor(2, mp_context=context, initializer=jobs.die) as pool,
        pytest.raises(BrokenProcessPool),
    ):
        pool.submit(jobs.square, 1).result(PATIENCE_SECONDS)


@pytest.mark.parametrize("context", ["spawn", "forkserver"], indirect=True)  # concurrent.futures refuses fork
def test_workers_are_replaced_after_their_share(context: SharedMemoryContext) -> None:
    with ProcessPoolExecutor(1, mp_context=context, max_tasks_per_child=2) as pool:
        workers = [pool.submit(jobs.process_id).result(PATIENCE_SECONDS) for _ in range(6)]
    assert [workers.count(worker) for worker in dict.fromkeys(workers)] == [2, 2, 2]


def test_what_cannot_be_pickled_fails_alone(context: SharedMemoryContext) -> None:
    with ProcessPoolExecutor(1, mp_context=context) as pool:
        unsendable: list[Any] = [open, (number for number in range(3))]
        refused, unpicklable = (pool.submit(jobs.square, each) for each in unsendable)
        good = pool.submit(jobs.square, 3)
        assert isinstance(refused.exception(PATIENCE_SECONDS), TypeError)
        assert isinstance(unpicklable.exception(PATIENCE_SECONDS), TypeError)
        assert good.result(PATIENCE_SECONDS) == 9


def test_cancelled_futures_do_not_run(context: SharedMemoryContext) -> None:
    reports = context.Queue()
    with ProcessPoolExecutor(1, mp_context=context, initializer=jobs.keep, initargs=(reports,)) as pool:
        futures = [pool.submit(jobs.report_what_is_kept, number) for number in range(100)]
        pool.shutdown(cancel_futures=True)
    cancelled = {number for number, future in enumerate(futures) if future.cancelled()}
    ran = {reports.get(timeout=PATIENCE_SECONDS) for _ in range(100 - len(cancelled))}
    assert cancelled | ran == set(range(100))
    assert reports.empty()
