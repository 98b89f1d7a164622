"""What our pools do beyond the standard library's, and how they hand out tasks."""

import gc
import queue
import threading
import warnings
import weakref
from collections.abc import Callable, Iterator
from concurrent.futures import CancelledError
from functools import partial
from typing import Any

import numpy
import pytest

import interproc
from interproc.context import SharedMemoryContext
from interproc.pool import Pool, ThreadPool
from interproc.pooling.results import MapResult
from tests.conformance import pool_bodies as bodies
from tests.contexts import PATIENCE_SECONDS, START_METHODS
from tests.waiting_for import until

SQUARES = [number * number for number in range(100)]


@pytest.fixture(params=[*START_METHODS, "threads"])
def make(request: pytest.FixtureRequest) -> Callable[..., Any]:
    """Makes a pool of processes or of threads."""
    threads = request.param == "threads"
    return ThreadPool if threads else partial(Pool, context=interproc.get_context(request.param))


class Bar:
    """A progress bar, as others make them."""

    def __init__(self) -> None:
        self.done = 0

    def update(self, count: int) -> None:
        self.done += count


def test_progress_is_told(make: Callable[..., Any]) -> None:
    with make(2) as pool:
        counts: list[int] = []
        assert pool.map(bodies.square, range(100), chunksize=7, progress=counts.append) == SQUARES
        assert sum(counts) == 100
        bar = Bar()
        assert list(pool.imap(bodies.square, iter(range(100)), chunksize=7, progress=bar)) == SQUARES
        assert sorted(pool.imap_unordered(bodies.square, range(100), progress=bar)) == SQUARES
        assert bar.done == 200
        with pytest.raises(TypeError, match="progress must be callable"):
            pool.map(bodies.square, range(3), progress=3)


def test_progress_that_raises_is_reported_and_harms_nobody(
    make: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    with make(2) as pool:
        reported: list[Any] = []
        monkeypatch.setattr(threading, "excepthook", reported.append)
        assert pool.map(bodies.square, range(4), chunksize=2, progress=lambda count: 1 // 0) == SQUARES[:4]
        assert [details.exc_type for details in reported] == [ZeroDivisionError] * 2


def test_buffersize_bounds_what_is_read_ahead(make: Callable[..., Any]) -> None:
    for chunksize in (1, 2):
        read: list[int] = []

        def count(read: list[int] = read) -> Iterator[int]:
            for number in range(100):
                read.append(number)
                yield number

        with make(2) as pool:
            values = pool.imap(bodies.square, count(), chunksize=chunksize, buffersize=3)
            for fetched in range(100):
                assert len(read) <= (3 + fetched) * chunksize
                assert next(values) == SQUARES[fetched]
            assert list(values) == []
            assert list(pool.imap_unordered(bodies.square, range(100), buffersize=1)) == SQUARES
            with pytest.raises(ValueError, match="buffersize must be"):
                pool.imap(bodies.square, [], buffersize=0)


def test_iterable_that_blocks_holds_up_nobody(make: Callable[..., Any]) -> None:
    source: queue.Queue[int] = queue.Queue()
    with make(2) as pool:
        values = pool.imap(bodies.square, iter(source.get, -1))
        assert pool.apply_async(bodies.square, (3,)).get(PATIENCE_SECONDS) == 9
        for number in range(5):  # each waits for the one before
            source.put(number)
            assert values.next(PATIENCE_SECONDS) == SQUARES[number]
        with pytest.raises(interproc.TimeoutError):
            values.next(0.01)
        source.put(-1)
        assert list(values) == []


def test_iterable_with_a_length_is_read_as_workers_ask(make: Callable[..., Any]) -> None:
    class Dataset:
        def __init__(self, says: int, has: int) -> None:
            self.says, self.has = says, has

        def __len__(self) -> int:
            return self.says

        def __iter__(self) -> Iterator[int]:
            return iter(range(self.has))

    with make(2) as pool:
        assert pool.map(bodies.square, Dataset(100, 100)) == SQUARES
        assert pool.map(bodies.square, Dataset(10, 10), chunksize=3) == SQUARES[:10]
        assert pool.map(bodies.square, numpy.arange(5), chunksize=1) == SQUARES[:5]
        for chunksize in (1, 2):
            for says, has in ((5, 3), (3, 5), (1, 0)):
                result = pool.map_async(bodies.square, Dataset(says, has), chunksize)
                assert result.get(PATIENCE_SECONDS) == SQUARES[:has]


def test_tasks_that_wait_for_each_other_run_beside_each_other(context: SharedMemoryContext) -> None:
    with Pool(3, context=context) as pool:
        pool.map(bodies.square, range(1000), chunksize=1)  # so that workers are supplied far ahead
        barrier = context.Barrier(3)
        for _ in range(5):
            results = [pool.apply_async(bodies.meet, (barrier,)) for _ in range(3)]
            assert sorted(result.get(PATIENCE_SECONDS) for result in results) == [0, 1, 2]


def test_what_waits_behind_a_long_task_is_given_to_others(context: SharedMemoryContext) -> None:
    said, event = context.Queue(), context.Event()
    with Pool(2, context=context) as pool:
        pool.map(bodies.square, range(1000), chunksize=1)
        shorts = pool.map_async(bodies.square, range(200), chunksize=1)
        long = pool.apply_async(bodies.say_and_wait, (said, event))
        others = [pool.apply_async(bodies.square, (3,)) for _ in range(200)]
        busy = said.get(timeout=PATIENCE_SECONDS)
        assert shorts.get(PATIENCE_SECONDS)[:100] == SQUARES
        assert [other.get(PATIENCE_SECONDS) for other in others] == [9] * 200
        assert not long.ready()
        event.set()
        assert long.get(PATIENCE_SECONDS) == busy


def test_many_maps_at_a_time(make: Callable[..., Any]) -> None:
    with make(2) as pool:
        results = [pool.map_async(lambda item, number=number: item + number, range(50), 1) for number in range(30)]
        for number, result in enumerate(results):
            assert result.get(PATIENCE_SECONDS) == [item + number for item in range(50)]


def test_more_functions_at_a_time_than_a_worker_remembers(make: Callable[..., Any]) -> None:
    with make(1) as pool:
        jobs = [pool.imap(lambda item, number=number: item + number, range(20), buffersize=1) for number in range(12)]
        for item in range(20):
            assert [next(values) for values in jobs] == [item + number for number in range(12)]


def test_function_that_cannot_be_sent_is_the_outcome(context: SharedMemoryContext) -> None:
    lock = threading.Lock()
    with Pool(1, context=context) as pool:
        for call in (pool.map, pool.starmap):
            with pytest.raises(TypeError, match="cannot be sent"):
                call(lambda *_: lock, [(1,), (2,)])
        with pytest.raises(TypeError, match="cannot be sent"):
            next(pool.imap(lambda *_: lock, [1]))
        assert pool.apply(bodies.square, (3,)) == 9


def test_arrays_go_there_and_back(context: SharedMemoryContext) -> None:
    arrays = [numpy.full(300_000, number, dtype=float) for number in range(12)]
    with Pool(2, context=context) as pool:
        assert pool.map(bodies.total, arrays, chunksize=1) == [300_000.0 * number for number in range(12)]
        for number, array in enumerate(pool.imap(bodies.doubled, arrays)):
            assert array[0] == array[-1] == 2 * number
            array[0] = 1


def test_threads_cancel_what_has_not_begun_and_refuse_timeouts() -> None:
    gate = threading.Event()
    ran: list[int] = []
    with ThreadPool(1) as pool:
        running = pool.apply_async(gate.wait)
        waiting = pool.apply_async(ran.append, (1,))
        assert waiting.cancel()
        assert running.cancel()
        gate.set()
        assert pool.apply_async(bodies.square, (3,)).get(PATIENCE_SECONDS) == 9
        for result in (running, waiting):
            with pytest.raises(CancelledError):
                result.get(0)
        assert ran == []
        with pytest.raises(ValueError, match="a thread cannot be stopped"):
            pool.apply_async(bodies.square, (1,), timeout=1)


@pytest.mark.parametrize("options", [{"timeout": 0}, {"timeout": -1}, {"retries": -1}])
def test_options_out_of_range(context: SharedMemoryContext, options: dict[str, Any]) -> None:
    with Pool(1, context=context) as pool, pytest.raises(ValueError, match="must be"):
        pool.apply_async(bodies.square, (1,), **options)


def test_terminated_pool_gives_up_what_is_not_done(make: Callable[..., Any]) -> None:
    gate = threading.Event()
    pool = make(1)
    waiting = pool.imap(bodies.square, iter(gate.wait, True))
    pool.terminate()
    pool.join()
    with pytest.raises(CancelledError, match="terminated"):
        waiting.next(PATIENCE_SECONDS)
    gate.set()


def test_forgotten_pool_ends(make: Callable[..., Any]) -> None:
    pool = make(1)
    assert pool.map(bodies.square, range(5)) == SQUARES[:5]
    supervisor, gone = pool._engine.thread, weakref.ref(pool)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)  # who records it keeps the pool
        del pool
        gc.collect()
        until(lambda: gone() is None and not supervisor.is_alive())


def test_pool_is_usable_from_many_threads(make: Callable[..., Any]) -> None:
    with make(2) as pool:
        wrong: list[Any] = []

        def use(start: int) -> None:
            for number in range(start, start + 20):
                if pool.apply(bodies.square, (number,)) != number * number:
                    wrong.append(number)

        threads = [threading.Thread(target=use, args=(start,)) for start in range(0, 100, 20)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(PATIENCE_SECONDS)
        assert wrong == []


def test_callback_may_use_the_pool(make: Callable[..., Any]) -> None:
    with make(1) as pool:
        later: queue.Queue[Any] = queue.Queue()
        pool.apply_async(
            bodies.square, (2,), callback=lambda value: later.put(pool.apply_async(bodies.square, (value,)))
        )
        assert later.get(timeout=PATIENCE_SECONDS).get(PATIENCE_SECONDS) == 16
        pool.apply_async(bodies.square, (2,), callback=lambda _: pool.terminate()).wait(PATIENCE_SECONDS)
        pool.join()


@pytest.mark.parametrize("order", [(0, 1, 2, 3, 4), (4, 3, 2, 1, 0), (0, 4, 1, 3, 2)])
@pytest.mark.parametrize("known_after", range(6))
def test_map_waits_for_as_many_tasks_as_there_turn_out_to_be(order: tuple[int, ...], known_after: int) -> None:
    result: MapResult[int] = MapResult(None, 1, 3, None, None)
    for place, index in enumerate(order):
        if place == known_after:
            result.set_count(5)
        assert not result.ready()
        result.deliver(index, True, [SQUARES[index]])
    if known_after == 5:
        assert not result.ready()
        result.set_count(5)
    assert result.get(timeout=0) == SQUARES[:5]
