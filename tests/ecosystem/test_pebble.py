"""What pebble's process pool offers beyond submitting, and its decorator, on interproc's contexts."""

from concurrent.futures import CancelledError, TimeoutError
from typing import Any

import pebble
import pytest

import interproc
from tests import waiting_for
from tests.contexts import PATIENCE_SECONDS
from tests.ecosystem import jobs


def test_map(context: Any) -> None:
    with pebble.ProcessPool(2, context=context) as pool:
        assert list(pool.map(jobs.square, range(100), chunksize=10).result()) == [number**2 for number in range(100)]


def test_pool_takes_the_module() -> None:
    module: Any = interproc  # pebble's annotation names multiprocessing itself
    with pebble.ProcessPool(2, context=module) as pool:
        assert pool.schedule(jobs.square, args=[3]).result(PATIENCE_SECONDS) == 9


def test_timeout_ends_the_worker_and_the_pool_goes_on(context: Any) -> None:
    with pebble.ProcessPool(1, context=context) as pool:
        with pytest.raises(TimeoutError):
            pool.schedule(jobs.sleep_for_ever, timeout=0.1).result()
        assert pool.schedule(jobs.square, args=[3]).result(PATIENCE_SECONDS) == 9


def test_cancelling_ends_the_worker_and_the_pool_goes_on(context: Any) -> None:
    with pebble.ProcessPool(1, context=context) as pool:
        future = pool.schedule(jobs.sleep_for_ever)
        waiting_for.until(future.running)
        assert future.cancel()  # type: ignore[no-untyped-call]
        with pytest.raises(CancelledError):
            future.result(PATIENCE_SECONDS)
        assert pool.schedule(jobs.square, args=[3]).result(PATIENCE_SECONDS) == 9


def test_pool_goes_on_after_a_death(context: Any) -> None:
    with pebble.ProcessPool(1, context=context) as pool:
        with pytest.raises(pebble.ProcessExpired):
            pool.schedule(jobs.die).result(PATIENCE_SECONDS)
        assert pool.schedule(jobs.square, args=[3]).result(PATIENCE_SECONDS) == 9


def test_decorated_function_runs_in_a_process(context: Any) -> None:
    in_process = pebble.concurrent.process(context=context)  # type: ignore[call-overload]  # its stubs lack it
    assert in_process(jobs.square)(4).result(PATIENCE_SECONDS) == 16
    with pytest.raises(pebble.ProcessExpired):
        in_process(jobs.die)().result(PATIENCE_SECONDS)
