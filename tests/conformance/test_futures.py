"""Our ProcessPoolExecutor keeps the contract of concurrent.futures."""

import inspect
import threading
from concurrent.futures import CancelledError, Executor, Future, wait
from concurrent.futures import ProcessPoolExecutor as StandardExecutor
from typing import Any

import pytest

from interproc.context import SharedMemoryContext
from interproc.futures import BrokenProcessPool, ProcessPoolExecutor
from tests.conformance import bodies as other_bodies
from tests.conformance import manager_bodies
from tests.conformance import pool_bodies as bodies
from tests.conformance.surfaces import call_differences
from tests.contexts import PATIENCE_SECONDS
from tests.programs import outcome_of


def test_signatures_are_the_standard_ones() -> None:
    assert issubclass(ProcessPoolExecutor, Executor)
    for name in ("__init__", "submit", "map", "shutdown"):
        standard, ours = getattr(StandardExecutor, name), getattr(ProcessPoolExecutor, name)
        assert inspect.signature(ours)
        assert list(call_differences(standard, ours)) == []


def test_executor_submits_and_maps(context: SharedMemoryContext) -> None:
    with ProcessPoolExecutor(2, context, manager_bodies.set_number, (7,)) as executor:
        assert executor.submit(pow, 2, 5, mod=7).result(PATIENCE_SECONDS) == 4
        assert executor.submit(manager_bodies.set_and_get, 0).result(PATIENCE_SECONDS) == 7
        with pytest.raises(ValueError, match="expected by the test") as raised:
            executor.submit(other_bodies.raise_in_child).result(PATIENCE_SECONDS)
        assert "in raise_in_child" in str(raised.value.__cause__)
        squares = [number * number for number in range(50)]
        for chunksize in (1, 7):
            for buffersize in (None, 2):
                assert (
                    list(executor.map(bodies.square, range(50), chunksize=chunksize, buffersize=buffersize)) == squares
                )
        assert list(executor.map(pow, [2, 3, 4], [3, 2])) == [8, 9]
        assert list(executor.map(lambda number: -number, range(3))) == [0, -1, -2]


def test_map_raises_where_the_value_would_be_and_cancels_the_rest(context: SharedMemoryContext) -> None:
    with ProcessPoolExecutor(1, context) as executor:
        values = executor.map(int, ["1", "x", "3"])
        assert next(values) == 1
        with pytest.raises(ValueError, match="invalid literal"):
            next(values)
        event = context.Event()
        with pytest.raises(TimeoutError):
            next(executor.map(bodies.wait_for, [event], timeout=0.01))
        event.set()


def test_waiting_future_is_cancelled_and_running_one_is_not(context: SharedMemoryContext) -> None:
    said, event = context.Queue(), context.Event()
    with ProcessPoolExecutor(1, context) as executor:
        running = executor.submit(bodies.say_and_wait, said, event)
        said.get(timeout=PATIENCE_SECONDS)
        assert running.running()
        assert not running.cancel()
        waiting = [executor.submit(bodies.square, number) for number in range(3)]
        assert waiting[-1].cancel()
        with pytest.raises(CancelledError):
            waiting[-1].result(0)
        event.set()
        assert [future.result(PATIENCE_SECONDS) for future in waiting[:-1]] == [0, 1]
        assert wait(waiting, PATIENCE_SECONDS).not_done == set()


@pytest.mark.parametrize("waits", [True, False])
def test_shutdown_finishes_what_runs_and_cancels_what_waits(context: SharedMemoryContext, waits: bool) -> None:
    said, event = context.Queue(), context.Event()
    executor = ProcessPoolExecutor(1, context)
    running = executor.submit(bodies.say_and_wait, said, event)
    pid = said.get(timeout=PATIENCE_SECONDS)
    futures: list[Future[int]] = [executor.submit(bodies.square, number) for number in range(20)]
    thread = threading.Timer(0.0, event.set) if waits else None
    if thread is not None:
        thread.start()
    executor.shutdown(wait=waits, cancel_futures=True)
    event.set()
    assert running.result(PATIENCE_SECONDS) == pid
    wait(futures, PATIENCE_SECONDS)
    assert sum(future.cancelled() for future in futures) + sum(not future.cancelled() for future in futures) == 20
    with pytest.raises(RuntimeError, match="after shutdown"):
        executor.submit(bodies.square, 1)
    executor.shutdown()


def test_terminated_executor_cancels_and_ends(context: SharedMemoryContext) -> None:
    executor = ProcessPoolExecutor(1, context)
    said = context.Queue()
    running = executor.submit(bodies.say_and_sleep, said)
    waiting = executor.submit(bodies.square, 1)
    said.get(timeout=PATIENCE_SECONDS)
    executor.terminate_workers()
    for future in (running, waiting):
        with pytest.raises(CancelledError):
            future.result(0)


def test_failing_initializer_breaks_the_executor(context: SharedMemoryContext) -> None:
    with ProcessPoolExecutor(1, context, manager_bodies.fail_to_initialize) as executor:
        with pytest.raises(BrokenProcessPool) as raised:
            executor.submit(bodies.square, 1).result(PATIENCE_SECONDS)
        assert "the initializer failed" in str(raised.value.__cause__)
        with pytest.raises(BrokenProcessPool):
            executor.submit(bodies.square, 1)


def test_workers_are_replaced_after_their_calls(context: SharedMemoryContext) -> None:
    with ProcessPoolExecutor(1, context, max_tasks_per_child=2) as executor:
        pids = [future.result(PATIENCE_SECONDS) for future in [executor.submit(bodies.pid) for _ in range(6)]]
        assert len(set(pids)) == 3


def test_bad_arguments(context: SharedMemoryContext) -> None:
    wrong: list[tuple[type[Exception], dict[str, Any]]] = [
        (ValueError, {"max_workers": 0}),
        (TypeError, {"initializer": 1}),
        (TypeError, {"max_tasks_per_child": "1"}),
        (ValueError, {"max_tasks_per_child": 0}),
        (ValueError, {"retries": -1}),
        (ValueError, {"timeout": 0}),
    ]
    for error, arguments in wrong:
        with pytest.raises(error):
            ProcessPoolExecutor(mp_context=context, **arguments)
    with ProcessPoolExecutor(1, context) as executor:
        for arguments in ({"chunksize": 0}, {"buffersize": 0}):
            with pytest.raises(ValueError, match="must be"):
                executor.map(bodies.square, [1], **arguments)


FORGETFUL = """
from interproc.futures import ProcessPoolExecutor
from interproc import get_context
import time

def work(number):
    time.sleep(0.05)
    print(number, flush=True)

if __name__ == "__main__":
    executor = ProcessPoolExecutor(1, get_context("METHOD"))
    for number in range(3):
        executor.submit(work, number)
    FORGET
"""


@pytest.mark.parametrize("forget", ["", "del executor"])
def test_end_of_the_program_waits_for_all_calls(context: SharedMemoryContext, forget: str) -> None:
    code = FORGETFUL.replace("METHOD", context.get_start_method()).replace("FORGET", forget)
    ended = outcome_of(code)
    assert ended.stderr == ""
    assert ended.stdout.split() == ["0", "1", "2"]
