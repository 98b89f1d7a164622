"""PAINS rows 4, 5 and 31: workers of pools and executors die or are stopped; only the task that one held is lost."""

import os
import random
import signal
import sys
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy
import pytest

import interproc
from interproc.context import SharedMemoryContext
from interproc.errors import WorkerDied
from interproc.futures import BrokenProcessPool, ProcessPoolExecutor, TaskLost
from interproc.pool import Pool
from tests.conformance import pool_bodies as bodies
from tests.contexts import PATIENCE_SECONDS
from tests.programs import running
from tests.waiting_for import until


def is_gone(pid: int) -> bool:
    """Whether there is no such process, or only what its parent has not asked for."""
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] == "Z"
    except (FileNotFoundError, ProcessLookupError):  # the latter when it goes between open and read
        return True


def worker_pids(pool: Any) -> list[int]:
    return [process.pid for process in pool._pool]


def are_replaced(pool: Any, victims: list[int]) -> bool:
    pids = worker_pids(pool)
    return len(pids) == len(victims) and not set(pids) & set(victims)


def test_worker_killed_in_a_task_fails_that_task_alone(context: SharedMemoryContext) -> None:
    with Pool(2, context=context) as pool:
        results = [pool.apply_async(bodies.die_of_three, (number,)) for number in range(20)]
        with pytest.raises(WorkerDied, match="die_of_three") as raised:
            results[3].get(PATIENCE_SECONDS)
        assert raised.value.signal == signal.SIGKILL
        assert raised.value.exitcode == -signal.SIGKILL
        others = [number for number in range(20) if number != 3]
        assert [results[number].get(PATIENCE_SECONDS) for number in others] == others
        until(lambda: len(worker_pids(pool)) == 2)


def test_worker_killed_in_a_map_fails_it_and_the_pool_goes_on(context: SharedMemoryContext) -> None:
    with Pool(2, context=context) as pool:
        with pytest.raises(WorkerDied, match="item 3"):
            pool.map_async(bodies.die_of_three, range(50), chunksize=1).get(PATIENCE_SECONDS)
        with pytest.raises(WorkerDied, match="chunk 1"):
            pool.map_async(bodies.die_of_three, range(50), chunksize=2).get(PATIENCE_SECONDS)
        assert pool.map_async(bodies.square, range(5)).get(PATIENCE_SECONDS) == [0, 1, 4, 9, 16]


@pytest.mark.parametrize("method", ["imap", "imap_unordered"])
def test_worker_killed_in_an_imap_loses_one_value(context: SharedMemoryContext, method: str) -> None:
    with Pool(2, context=context) as pool:
        values: Any = getattr(pool, method)(bodies.die_of_three, range(50))
        got, deaths = [], 0
        while True:
            try:
                got.append(values.next(PATIENCE_SECONDS))
            except StopIteration:
                break
            except WorkerDied:
                deaths += 1
        assert deaths == 1
        assert sorted(got) == [number for number in range(50) if number != 3]


@pytest.mark.parametrize("code", [0, 7])
def test_worker_that_leaves_is_told_with_its_exit_code(context: SharedMemoryContext, code: int) -> None:
    with Pool(1, context=context) as pool:
        with pytest.raises(WorkerDied, match=f"exit code {code}") as raised:
            pool.apply_async(bodies.leave, (code,)).get(PATIENCE_SECONDS)
        assert (raised.value.exitcode, raised.value.signal) == (code, None)
        assert pool.apply_async(bodies.square, (3,)).get(PATIENCE_SECONDS) == 9


def test_worker_killed_between_its_tasks_is_replaced_silently(context: SharedMemoryContext) -> None:
    with Pool(2, context=context) as pool:
        for _ in range(5):
            victims = worker_pids(pool)
            for victim in victims:
                os.kill(victim, signal.SIGKILL)
            assert pool.apply_async(bodies.square, (7,)).get(PATIENCE_SECONDS) == 49
            until(partial(are_replaced, pool, victims))


def test_worker_killed_while_it_pickles_or_unpickles_fails_its_task_alone(context: SharedMemoryContext) -> None:
    with Pool(1, context=context) as pool:
        for task, arguments in ((bodies.make_deadly, ()), (bodies.pid_for, (bodies.DiesWhenReceived(),))):
            with pytest.raises(WorkerDied):
                pool.apply_async(task, arguments).get(PATIENCE_SECONDS)
            assert pool.apply_async(bodies.square, (3,)).get(PATIENCE_SECONDS) == 9


def test_worker_killed_with_arrays_under_way(context: SharedMemoryContext) -> None:
    array = numpy.arange(200_000.0)
    with Pool(1, context=context) as pool:
        results = [pool.apply_async(bodies.doubled, (array,)) for _ in range(6)]
        os.kill(worker_pids(pool)[0], signal.SIGKILL)
        lost = 0
        for result in results:
            try:
                assert numpy.array_equal(result.get(PATIENCE_SECONDS), array * 2)
            except WorkerDied:
                lost += 1
        assert lost <= 1


def test_task_is_tried_again_as_often_as_asked(context: SharedMemoryContext) -> None:
    with Pool(1, context=context) as pool:
        assert pool.apply(bodies.count_and_die, (context.Value("i"), 2), retries=2) == 3
        with pytest.raises(WorkerDied):
            pool.apply(bodies.count_and_die, (context.Value("i"), 2), retries=1)


def test_task_that_takes_too_long_is_stopped(context: SharedMemoryContext) -> None:
    queue = context.Queue()
    with Pool(1, context=context) as pool:
        result = pool.apply_async(bodies.say_and_sleep, (queue,), timeout=0.2)
        others = [pool.apply_async(bodies.square, (number,)) for number in range(5)]
        with pytest.raises(interproc.TimeoutError, match=r"say_and_sleep took longer than 0\.2 s"):
            result.get(PATIENCE_SECONDS)
        pid = queue.get(timeout=PATIENCE_SECONDS)
        until(lambda: is_gone(pid))
        assert [other.get(PATIENCE_SECONDS) for other in others] == [0, 1, 4, 9, 16]


def test_cancelled_task_is_stopped(context: SharedMemoryContext) -> None:
    from concurrent.futures import CancelledError

    queue = context.Queue()
    with Pool(1, context=context) as pool:
        result = pool.apply_async(bodies.say_and_sleep, (queue,))
        waiting = pool.apply_async(bodies.say_and_sleep, (queue,))
        other = pool.apply_async(bodies.square, (4,))
        pid = queue.get(timeout=PATIENCE_SECONDS)
        assert waiting.cancel()
        assert result.cancel()
        assert not result.cancel()
        for cancelled in (result, waiting):
            with pytest.raises(CancelledError):
                cancelled.get(0)
        until(lambda: is_gone(pid))
        assert other.get(PATIENCE_SECONDS) == 16
        assert not other.cancel()
        assert queue.empty()


@pytest.mark.parametrize("method", ["map_async", "imap"])
def test_cancelling_many_tasks_stops_them(context: SharedMemoryContext, method: str) -> None:
    from concurrent.futures import CancelledError

    queue = context.Queue()
    with Pool(2, context=context) as pool:
        result: Any = getattr(pool, method)(bodies.say_and_sleep, [queue] * 50, chunksize=1)
        pids = [queue.get(timeout=PATIENCE_SECONDS) for _ in range(2)]
        assert result.cancel()
        with pytest.raises(CancelledError):
            result.get(0) if method == "map_async" else next(result)
        until(lambda: all(is_gone(pid) for pid in pids))
        assert pool.apply_async(bodies.square, (4,)).get(PATIENCE_SECONDS) == 16
        assert queue.empty()


def test_stopped_worker_holds_up_nobody_else(context: SharedMemoryContext) -> None:
    with Pool(2, context=context) as pool:
        pool.map(bodies.square, range(10), chunksize=1)
        os.kill(worker_pids(pool)[0], signal.SIGSTOP)
        assert [pool.apply_async(bodies.square, (3,)).get(PATIENCE_SECONDS) for _ in range(20)] == [9] * 20
        results = pool.map_async(bodies.square, range(100), chunksize=1)
        pool.close()
        os.kill(worker_pids(pool)[0], signal.SIGCONT)
        assert results.get(PATIENCE_SECONDS) == [number * number for number in range(100)]
        pool.join()


@pytest.mark.parametrize("how", ["terminate", "with", "close"])
def test_pool_ends_with_stopped_and_dead_workers(context: SharedMemoryContext, how: str) -> None:
    pool = Pool(3, context=context)
    pool.map(bodies.square, range(10), chunksize=1)
    pids = worker_pids(pool)
    os.kill(pids[0], signal.SIGSTOP)
    os.kill(pids[1], signal.SIGKILL)
    if how == "with":
        with pool:
            pass
    else:
        getattr(pool, how)()
    pool.join()
    assert all(is_gone(pid) for pid in pids)


def test_pool_ends_although_a_task_ignores_sigterm(context: SharedMemoryContext) -> None:
    queue = context.Queue()
    pool = Pool(1, context=context)
    result = pool.apply_async(bodies.ignore_sigterm, (queue,))
    pid = queue.get(timeout=PATIENCE_SECONDS)
    pool.terminate()
    pool.join()
    assert is_gone(pid)
    with pytest.raises(Exception, match="terminated"):
        result.get(0)


def test_workers_that_die_before_they_are_ready_are_not_replaced_for_ever(context: SharedMemoryContext) -> None:
    with Pool(2, bodies.leave, (5,), context=context) as pool:
        with pytest.raises(WorkerDied, match="initializer"):
            pool.apply_async(bodies.square, (1,)).get(PATIENCE_SECONDS)
        with pytest.raises(WorkerDied, match="initializer"):
            pool.apply_async(bodies.square, (1,))


PROGRAM = """
import time, interproc
from tests.conformance.pool_bodies import catch_sigterm

if __name__ == "__main__":
    pool = interproc.get_context("METHOD").Pool(2, INITIALIZER)
    pool.map(abs, range(10), chunksize=1)
    print(*(process.pid for process in pool._pool), flush=True)
    time.sleep(600)
"""


@pytest.mark.parametrize("initializer", ["None", "catch_sigterm"])
def test_workers_end_with_a_parent_that_is_killed(context: SharedMemoryContext, initializer: str) -> None:
    code = PROGRAM.replace("METHOD", context.get_start_method()).replace("INITIALIZER", initializer)
    with running(code) as program:
        pids = [int(pid) for pid in program.read_line().split()]
        assert len(pids) == 2
        program.kill()
        until(lambda: all(is_gone(pid) for pid in pids))


def ready_pids(pool: Any) -> list[int]:
    """The workers that are through with their start."""
    return [member.process.pid for member in list(pool._engine._members.values()) if member.is_ready]


SLOW_MODULE = """
import threading
from tests.crash import test_pools
test_pools.importing.set()
test_pools.imported.wait()
answer = 42
"""
importing, imported = threading.Event(), threading.Event()


def test_worker_that_is_forked_while_a_thread_imports_can_import(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "slow_module.py").write_text(SLOW_MODULE)
    monkeypatch.syspath_prepend(tmp_path)
    importing.clear()
    imported.clear()
    with Pool(1, context=interproc.get_context("fork")) as pool:
        thread = threading.Thread(target=__import__, args=("slow_module",))
        thread.start()
        assert importing.wait(PATIENCE_SECONDS)
        os.kill(worker_pids(pool)[0], signal.SIGKILL)
        assert pool.apply_async(bodies.imports, ("slow_module",)).get(PATIENCE_SECONDS) == "slow_module"
        imported.set()
        thread.join(PATIENCE_SECONDS)
        del sys.modules["slow_module"]


def random_kills(
    pool: Any, chance: random.Random, victims: Callable[[Any], list[int]], is_over: Callable[[], bool]
) -> int:
    """Kills workers until all is done; returns how many."""
    killed: set[int] = set()
    while not is_over():
        pid = chance.choice(victims(pool) or [0])
        if pid and pid not in killed:
            os.kill(pid, signal.SIGKILL)
            killed.add(pid)
        time.sleep(chance.uniform(0.002, 0.03))  # the kills shall hit anywhere
    return len(killed)


@pytest.mark.parametrize("retries", [0, 100])
def test_random_kills_lose_what_the_dead_held_and_nothing_else(context: SharedMemoryContext, retries: int) -> None:
    seed = random.SystemRandom().randrange(1 << 32)
    print(f"seed {seed}")
    # Where starting takes long, none would ever be ready if those that start were killed as well.
    count, victims = (1500, worker_pids) if context.get_start_method() == "fork" else (300, ready_pids)
    counts = context.RawArray("i", count)
    with Pool(3, bodies.keep_counts, (counts,), context=context) as pool:
        values: list[int] = []
        progress: list[int] = []
        results = pool.imap_unordered(bodies.note, range(count), retries=retries, progress=progress.append)
        kills = random_kills(pool, random.Random(seed), victims, lambda: sum(progress) == count)
        deaths = 0
        while True:
            try:
                values.append(results.next(PATIENCE_SECONDS))
            except StopIteration:
                break
            except WorkerDied:
                deaths += 1
        assert len(values) == len(set(values))
        assert len(values) + deaths == count
        assert deaths <= kills
        ran = list(counts)
        if retries:
            assert deaths == 0
            assert min(ran) == 1
            assert sum(ran) - count <= kills
        else:
            assert max(ran) <= 1
            assert all(ran[value] == 1 for value in values)


def test_executor_loses_one_future_with_a_worker(context: SharedMemoryContext) -> None:
    with ProcessPoolExecutor(2, context) as executor:
        futures = [executor.submit(bodies.die_of_three, number) for number in range(20)]
        with pytest.raises(BrokenProcessPool) as raised:
            futures[3].result(PATIENCE_SECONDS)
        assert isinstance(raised.value, WorkerDied)
        assert isinstance(raised.value, TaskLost)
        others = [number for number in range(20) if number != 3]
        assert [futures[number].result(PATIENCE_SECONDS) for number in others] == others


def test_executor_retries_and_stops_calls(context: SharedMemoryContext) -> None:
    with ProcessPoolExecutor(1, context, retries=2, timeout=5) as executor:
        counter = context.Value("i")
        assert executor.submit(bodies.count_and_die, counter, 2).result(PATIENCE_SECONDS) == 3
    with ProcessPoolExecutor(1, context, timeout=0.2) as executor:
        queue = context.Queue()
        future = executor.submit(bodies.say_and_sleep, queue)
        with pytest.raises(TimeoutError):
            future.result(PATIENCE_SECONDS)
        assert is_gone(queue.get(timeout=PATIENCE_SECONDS))
