"""The standard library's Pool and ProcessPoolExecutor on our contexts."""

import multiprocessing.pool
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from typing import Any

import pytest

from interproc.context import SharedMemoryContext
from tests.conformance import bodies
from tests.contexts import PATIENCE_SECONDS


def test_pool_maps(context: SharedMemoryContext) -> None:
    with context.Pool(2) as pool:
        assert pool.map(bodies.square, range(100)) == [number * number for number in range(100)]
        assert pool.apply(bodies.square, (3,)) == 9
        assert list(pool.imap(bodies.square, range(10), chunksize=3)) == [number * number for number in range(10)]
        assert sorted(pool.imap_unordered(bodies.square, range(10))) == sorted(number * number for number in range(10))
        assert pool.starmap(pow, [(2, 3), (3, 2)]) == [8, 9]


def test_pool_runs_lambdas(context: SharedMemoryContext) -> None:
    offset = 10
    with context.Pool(2) as pool:
        assert pool.map(lambda number: number + offset, range(5)) == [10, 11, 12, 13, 14]


def test_pool_delivers_exceptions_and_big_results(context: SharedMemoryContext) -> None:
    with context.Pool(2) as pool:
        with pytest.raises(ValueError, match="expected by the test"):
            pool.apply(bodies.raise_in_child)
        assert pool.apply(bytes, (3_000_000,)) == bytes(3_000_000)


def test_pool_closes_and_replaces_workers(context: SharedMemoryContext) -> None:
    pool = context.Pool(2, maxtasksperchild=3)
    assert pool.map(bodies.square, range(20), chunksize=1) == [number * number for number in range(20)]
    pool.close()
    pool.join()


def test_pool_terminates_with_tasks_left(context: SharedMemoryContext) -> None:
    pool = context.Pool(2)
    results = pool.imap_unordered(bodies.square, range(100_000))
    next(results)
    pool.terminate()
    pool.join()


def test_pool_made_from_the_standard_class(context: SharedMemoryContext) -> None:
    with multiprocessing.pool.Pool(1, context=context) as pool:
        assert pool.map(bodies.square, range(5)) == [0, 1, 4, 9, 16]


def test_idle_pool_survives_a_killed_worker(context: SharedMemoryContext) -> None:
    with context.Pool(2) as pool:
        workers: list[Any] = pool._pool  # type: ignore[attr-defined]
        victim = workers[0]
        victim.kill()
        victim.join()
        for _ in range(20):
            assert pool.apply_async(bodies.square, (7,)).get(PATIENCE_SECONDS) == 49


def test_executor_maps(context: SharedMemoryContext) -> None:
    with ProcessPoolExecutor(2, mp_context=context) as executor:
        assert list(executor.map(bodies.square, range(50))) == [number * number for number in range(50)]
        with pytest.raises(ValueError, match="expected by the test"):
            executor.submit(bodies.raise_in_child).result(PATIENCE_SECONDS)


def test_executor_notices_a_killed_worker(context: SharedMemoryContext) -> None:
    with ProcessPoolExecutor(1, mp_context=context) as executor:
        future = executor.submit(bodies.kill_self)
        with pytest.raises(BrokenProcessPool):
            future.result(PATIENCE_SECONDS)
