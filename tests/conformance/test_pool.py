"""Pool, ThreadPool and the standard library's ProcessPoolExecutor on our contexts."""

import multiprocessing.pool
import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from functools import partial
from typing import Any

import pytest

import interproc
from interproc.context import SharedMemoryContext
from interproc.pool import AsyncResult, MaybeEncodingError, Pool, RemoteTraceback, ThreadPool
from tests.conformance import bodies, manager_bodies
from tests.contexts import PATIENCE_SECONDS, START_METHODS


@pytest.fixture(params=[*START_METHODS, "threads"])
def make(request: pytest.FixtureRequest) -> Callable[..., Any]:
    """Makes a pool of processes or of threads."""
    threads = request.param == "threads"
    return ThreadPool if threads else partial(Pool, context=interproc.get_context(request.param))


def test_contexts_make_these_pools_and_managers(context: SharedMemoryContext) -> None:
    from interproc.managers import SyncManager

    made: Any = context
    with made.Pool(1) as pool, made.Manager() as manager:
        assert type(pool) is Pool
        assert type(manager) is SyncManager
    manager.join()


def test_pool_maps(make: Callable[..., Any]) -> None:
    with make(2) as pool:
        squares = [number * number for number in range(100)]
        assert pool.map(bodies.square, range(100)) == squares
        assert pool.map(bodies.square, range(100), chunksize=7) == squares
        assert pool.map(bodies.square, []) == []
        assert pool.apply(bodies.square, (3,)) == 9
        assert pool.apply(int, ("11",), {"base": 2}) == 3
        assert list(pool.imap(bodies.square, range(10))) == squares[:10]
        assert list(pool.imap(bodies.square, range(10), chunksize=3)) == squares[:10]
        assert sorted(pool.imap_unordered(bodies.square, range(10))) == squares[:10]
        assert pool.starmap(pow, [(2, 3), (3, 2)]) == [8, 9]
        assert pool.map_async(bodies.square, range(3)).get(PATIENCE_SECONDS) == [0, 1, 4]
        assert pool.starmap_async(pow, [(2, 3)]).get(PATIENCE_SECONDS) == [8]


def test_results_say_how_far_they_are(make: Callable[..., Any]) -> None:
    with make(2) as pool:
        result = pool.apply_async(bodies.square, (3,))
        result.wait(PATIENCE_SECONDS)
        assert (result.ready(), result.successful(), result.get(0)) == (True, True, 9)
        assert isinstance(result, AsyncResult)
        failed = pool.apply_async(bodies.raise_in_child)
        failed.wait(PATIENCE_SECONDS)
        assert not failed.successful()


def test_result_that_does_not_come_times_out() -> None:
    gate = threading.Event()
    with ThreadPool(1) as pool:
        result = pool.apply_async(gate.wait)
        with pytest.raises(interproc.TimeoutError):
            result.get(timeout=0.01)
        with pytest.raises(ValueError, match="not ready"):
            result.successful()
        with pytest.raises(interproc.TimeoutError):
            pool.imap(bodies.square, [1]).next(timeout=0.01)
        gate.set()


def test_callbacks_are_called(make: Callable[..., Any]) -> None:
    with make(2) as pool:
        outcomes: list[Any] = []
        pool.apply_async(bodies.square, (3,), callback=outcomes.append, error_callback=outcomes.append).wait()
        pool.map_async(bodies.square, [1, 2], callback=outcomes.append).wait()
        pool.starmap_async(pow, [(2, 3)], callback=outcomes.append).wait()
        pool.apply_async(bodies.raise_in_child, callback=outcomes.append, error_callback=outcomes.append).wait()
        assert outcomes[:3] == [9, [1, 4], [8]]
        assert isinstance(outcomes[3], ValueError)


def test_callback_that_raises_is_reported_and_harms_nobody(
    make: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    with make(2) as pool:
        reported: list[Any] = []
        monkeypatch.setattr(threading, "excepthook", reported.append)
        assert pool.apply_async(bodies.square, (3,), callback=lambda value: 1 // 0).get(PATIENCE_SECONDS) == 9
        assert pool.apply(bodies.square, (4,)) == 16
        assert [details.exc_type for details in reported] == [ZeroDivisionError]


def test_pool_runs_lambdas(make: Callable[..., Any]) -> None:
    with make(2) as pool:
        offset = 10
        assert pool.map(lambda number: number + offset, range(5)) == [10, 11, 12, 13, 14]
        assert pool.apply(lambda: lambda: 5)() == 5


def test_exceptions_come_with_their_tracebacks(context: SharedMemoryContext) -> None:
    with Pool(1, context=context) as pool:
        with pytest.raises(ValueError, match="expected by the test") as raised:
            pool.apply(bodies.raise_in_child)
        cause = raised.value.__cause__
        assert isinstance(cause, RemoteTraceback)
        assert "in raise_in_child" in str(cause)
        for results in (pool.imap(int, ["x"]), pool.imap_unordered(int, ["x"])):
            with pytest.raises(ValueError, match="invalid literal"):
                next(results)


def test_exceptions_of_iterables_come_as_they_are(make: Callable[..., Any]) -> None:
    with make(2) as pool:

        def count() -> Iterator[int]:
            yield 1
            raise ValueError("of the iterable")

        with pytest.raises(ValueError, match="of the iterable") as raised:
            pool.map(bodies.square, count())
        assert raised.value.__cause__ is None
        results = pool.imap(bodies.square, count())
        assert next(results) == 1
        with pytest.raises(ValueError, match="of the iterable") as raised:
            next(results)
        assert raised.value.__cause__ is None


def test_big_results(context: SharedMemoryContext) -> None:
    with Pool(1, context=context) as pool:
        assert pool.apply(bytes, (3_000_000,)) == bytes(3_000_000)
        made = pool.apply(manager_bodies.send_array, (100_000,))
        made[0] = 1
        assert len(made) == 100_000


def test_what_cannot_be_sent_fails_its_task_alone(context: SharedMemoryContext) -> None:
    with Pool(1, context=context) as pool:
        with pytest.raises(RuntimeError, match="cannot be pickled"):
            pool.apply(bodies.square, (manager_bodies.Unsendable(),))
        with pytest.raises(OSError, match="cannot be made anew") as raised:
            pool.apply(bodies.square, (manager_bodies.Unrebuildable(),))
        assert raised.value.__notes__ == ["while unpickling the task in a pool's worker"]
        with pytest.raises(MaybeEncodingError, match="cannot be pickled"):
            pool.apply(manager_bodies.make_unsendable)
        with pytest.raises(OSError, match="cannot be made anew") as raised:
            pool.apply(manager_bodies.make_unrebuildable)
        assert raised.value.__notes__ == ["while unpickling the result of a pool's task"]
        assert pool.apply(bodies.square, (3,)) == 9


def test_initializer_runs_in_each_worker(context: SharedMemoryContext) -> None:
    with Pool(2, manager_bodies.set_number, (7,), context=context) as pool:
        assert pool.map(manager_bodies.set_and_get, range(20), chunksize=1) == [7] * 20
    with ThreadPool(1, manager_bodies.set_number, (8,)) as threads:
        assert threads.apply(manager_bodies.set_and_get, (0,)) == 8


def test_workers_are_replaced_after_their_tasks(context: SharedMemoryContext) -> None:
    pool = Pool(2, maxtasksperchild=3, context=context)
    assert len(set(pool.map(manager_bodies.pid_of_worker, range(20), chunksize=1))) >= 20 // 3
    pool.close()
    pool.join()


def test_closed_pool_finishes_and_takes_no_more(make: Callable[..., Any]) -> None:
    with make(2) as pool:
        result = pool.map_async(bodies.square, range(20))
        with pytest.raises(ValueError, match="still running"):
            pool.join()
        pool.close()
        pool.join()
        assert result.get(0) == [number * number for number in range(20)]
        with pytest.raises(ValueError, match="not running"):
            pool.apply_async(bodies.square, (1,))
        with pytest.raises(ValueError, match="not running"), pool:
            pass


def test_pool_terminates_with_tasks_left(context: SharedMemoryContext) -> None:
    pool = Pool(2, context=context)
    results = pool.imap_unordered(bodies.square, range(100_000))
    next(results)
    pool.terminate()
    pool.join()


def test_bad_arguments(context: SharedMemoryContext) -> None:
    wrong: list[dict[str, Any]] = [
        {"processes": 0},
        {"processes": -1},
        {"maxtasksperchild": 0},
        {"maxtasksperchild": 0.5},
    ]
    for arguments in wrong:
        with pytest.raises(ValueError, match="must be"):
            Pool(context=context, **arguments)
    with pytest.raises(TypeError, match="callable"):
        Pool(1, 1, context=context)  # type: ignore[arg-type]
    with Pool(1, context=context) as pool, pytest.raises(ValueError, match="Chunksize"):
        pool.imap(bodies.square, [1], chunksize=0)


def test_pool_cannot_be_pickled(make: Callable[..., Any]) -> None:
    with make(2) as pool, pytest.raises(NotImplementedError, match="cannot be passed"):
        pool.__reduce__()


def test_pool_uses_the_default_context() -> None:
    before = multiprocessing.get_start_method(allow_none=True)
    try:
        interproc.set_start_method("spawn", force=True)
        with Pool(1) as pool:
            assert pool._ctx is interproc.get_context("spawn")
            assert pool.apply(manager_bodies.pid_of_worker) != os.getpid()
    finally:
        multiprocessing.set_start_method(before, force=True)


def test_pool_made_from_the_standard_class(context: SharedMemoryContext) -> None:
    with multiprocessing.pool.Pool(1, context=context) as pool:
        assert pool.map(bodies.square, range(5)) == [0, 1, 4, 9, 16]


def test_idle_pool_survives_a_killed_worker(context: SharedMemoryContext) -> None:
    with Pool(2, context=context) as pool:
        workers: list[Any] = pool._pool
        victim = workers[0]
        victim.kill()
        victim.join()
        for _ in range(20):
            assert pool.apply_async(bodies.square, (7,)).get(PATIENCE_SECONDS) == 49


def test_executor_maps(context: SharedMemoryContext) -> None:
    with ProcessPoolExecutor(2, mp_context=context, initializer=manager_bodies.set_number, initargs=(7,)) as executor:
        assert list(executor.map(bodies.square, range(50), chunksize=3)) == [number * number for number in range(50)]
        assert executor.submit(manager_bodies.set_and_get, 0).result(PATIENCE_SECONDS) == 7
        with pytest.raises(ValueError, match="expected by the test"):
            executor.submit(bodies.raise_in_child).result(PATIENCE_SECONDS)


def test_executor_notices_a_killed_worker(context: SharedMemoryContext) -> None:
    with ProcessPoolExecutor(1, mp_context=context) as executor:
        future = executor.submit(bodies.kill_self)
        with pytest.raises(BrokenProcessPool):
            future.result(PATIENCE_SECONDS)


def test_executor_notices_a_failing_initializer(context: SharedMemoryContext) -> None:
    with ProcessPoolExecutor(1, mp_context=context, initializer=manager_bodies.fail_to_initialize) as executor:
        future = executor.submit(bodies.square, 1)
        with pytest.raises(BrokenProcessPool):
            future.result(PATIENCE_SECONDS)
