"""Pools of other libraries run on interproc's contexts: one contract for all whose jobs have futures."""

import os
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import pebble
import pytest
from joblib.externals import loky

from tests.contexts import PATIENCE_SECONDS
from tests.ecosystem import jobs

Submit = Callable[..., "Future[Any]"]
Pool = Callable[[Any], AbstractContextManager[Submit]]


@contextmanager
def standard_pool(context: Any) -> Iterator[Submit]:
    """That of concurrent.futures."""
    with ProcessPoolExecutor(2, mp_context=context) as pool:
        yield pool.submit


@contextmanager
def loky_pool(context: Any) -> Iterator[Submit]:
    """That of loky, which is joblib's default."""
    with loky.ProcessPoolExecutor(2, context=context) as pool:
        yield pool.submit


@contextmanager
def pebble_pool(context: Any) -> Iterator[Submit]:
    """That of pebble."""
    with pebble.ProcessPool(2, context=context) as pool:
        yield lambda function, *args: pool.schedule(function, args=args)


DEATHS = (BrokenProcessPool, pebble.ProcessExpired)


@pytest.fixture(params=[standard_pool, loky_pool, pebble_pool])
def pool(request: pytest.FixtureRequest) -> Pool:
    """Makes a pool of two workers that `submit`s."""
    chosen: Pool = request.param
    return chosen


def test_results_come_back(pool: Pool, context: Any) -> None:
    with pool(context) as submit:
        futures = [submit(jobs.square, number) for number in range(50)]
        assert [future.result(PATIENCE_SECONDS) for future in futures] == [number**2 for number in range(50)]


def test_exception_comes_back(pool: Pool, context: Any) -> None:
    with pool(context) as submit, pytest.raises(ValueError, match="on purpose"):
        submit(jobs.fail, "on purpose").result(PATIENCE_SECONDS)


def test_jobs_run_in_other_processes(pool: Pool, context: Any) -> None:
    with pool(context) as submit:
        assert submit(jobs.process_id).result(PATIENCE_SECONDS) != os.getpid()


def test_killed_worker_is_noticed(pool: Pool, context: Any) -> None:
    with pool(context) as submit, pytest.raises(DEATHS):
        submit(jobs.die).result(PATIENCE_SECONDS)


def test_locks_values_and_queues_are_arguments(pool: Pool, context: Any) -> None:
    lock, counter, reports = context.Lock(), context.Value("i"), context.Queue()
    with pool(context) as submit:
        futures = [submit(jobs.count_and_report, lock, counter, reports, number) for number in range(50)]
        for future in futures:
            future.result(PATIENCE_SECONDS)
    assert counter.value == sum(range(50))
    assert sorted(reports.get(timeout=PATIENCE_SECONDS) for _ in range(50)) == list(range(50))
