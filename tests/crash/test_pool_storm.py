"""Storms over pools: workers are killed and stopped at random. Every task has one outcome, and nothing runs twice.

`make storm` runs them, each for as long as INTERPROC_STORM_SECONDS says; INTERPROC_STORM_SEED repeats a printed seed.
"""

import os
import random
import signal
import threading
import time
from collections.abc import Iterator
from concurrent.futures import CancelledError
from contextlib import suppress
from typing import Any

import pytest

from interproc.context import SharedMemoryContext
from interproc.errors import WorkerDied
from interproc.futures import ProcessPoolExecutor, TaskLost
from interproc.pool import Pool
from tests.conformance import pool_bodies as bodies
from tests.contexts import PATIENCE_SECONDS
from tests.crash.storms.storm import LONGEST_STOP_SECONDS, SECONDS, SEED, STOPPED_SHARE

pytestmark = [
    pytest.mark.timeout(SECONDS + 5 * PATIENCE_SECONDS),
    pytest.mark.skipif("INTERPROC_STORM_SECONDS" not in os.environ, reason="make storm runs it"),
]

WORKERS = 4
AHEAD = 64
MOST_TASKS = 1 << 20


class Weather(threading.Thread):
    """Kills and stops the workers of an engine at random until it is told to end."""

    def __init__(self, engine: Any, pause_seconds: float) -> None:
        super().__init__()
        self._engine = engine
        self._pause_seconds = pause_seconds
        self._is_over = threading.Event()
        self._stopped: dict[int, float] = {}
        self.killed: set[int] = set()
        self.stop_count = 0

    def run(self) -> None:
        chance = random.Random(SEED)
        while not self._is_over.wait(chance.expovariate(1 / self._pause_seconds)):
            members = [member for member in list(self._engine._members.values()) if member.is_ready]
            if members:
                self._strike(chance.choice(members).process.pid, chance)
            self._let_continue(time.monotonic())
        self._let_continue(float("inf"))

    def end(self) -> None:
        """Lets it clear up; blocks until it has."""
        self._is_over.set()
        self.join()

    def _strike(self, pid: int, chance: random.Random) -> None:
        if pid in self.killed:
            return
        if pid not in self._stopped and chance.random() < STOPPED_SHARE:
            self._stopped[pid] = time.monotonic() + chance.uniform(0, LONGEST_STOP_SECONDS)
            self.stop_count += 1
            self._send(pid, signal.SIGSTOP)
        else:
            self._send(pid, signal.SIGKILL)
            self.killed.add(pid)

    def _let_continue(self, now: float) -> None:
        for pid, end in list(self._stopped.items()):
            if end <= now:
                del self._stopped[pid]
                self._send(pid, signal.SIGCONT)

    def _send(self, pid: int, number: int) -> None:
        with suppress(ProcessLookupError):
            os.kill(pid, number)


def pause_seconds(context: SharedMemoryContext) -> float:
    """Between two blows: about as long as a worker takes to start."""
    return 0.02 if context.get_start_method() == "fork" else 0.2


def numbers_until(deadline: float) -> Iterator[int]:
    """Counts until then."""
    number = 0
    while time.monotonic() < deadline and number < MOST_TASKS:
        yield number
        number += 1


@pytest.mark.parametrize("retries", [0, 1000])
def test_every_task_has_one_outcome(context: SharedMemoryContext, retries: int) -> None:
    counts = context.RawArray("b", MOST_TASKS)
    with Pool(WORKERS, bodies.keep_counts, (counts,), context=context) as pool:
        weather = Weather(pool._engine, pause_seconds(context))
        weather.start()
        values, deaths = set(), 0
        try:
            results = pool.imap_unordered(
                bodies.note, numbers_until(time.monotonic() + SECONDS), buffersize=AHEAD, retries=retries
            )
            while True:
                try:
                    value = results.next(PATIENCE_SECONDS)
                except StopIteration:
                    break
                except WorkerDied:
                    deaths += 1
                else:
                    assert value not in values
                    values.add(value)
        finally:
            weather.end()
        pool.close()
        pool.join()
    count = len(values) + deaths
    kills = len(weather.killed)
    print(f"storm: seed {SEED}, {count} tasks, {kills} kills, {weather.stop_count} stops, {deaths} tasks lost")
    ran = list(counts[:count])
    assert deaths <= kills
    assert not any(counts[count:])
    if retries:
        assert values == set(range(count))
        assert min(ran) >= 1
        assert sum(ran) - count <= kills
    else:
        assert max(ran) == 1
        assert values <= {number for number in range(count) if ran[number]}


def test_every_future_has_one_outcome(context: SharedMemoryContext) -> None:
    deadline = time.monotonic() + SECONDS
    count = lost = 0
    kills = 0
    while time.monotonic() < deadline:
        with ProcessPoolExecutor(WORKERS, context) as executor:
            first = executor.submit(bodies.square, 0)
            weather = Weather(executor._engine, pause_seconds(context))
            weather.start()
            assert first.exception(PATIENCE_SECONDS) is None or isinstance(first.exception(), TaskLost)
            round_end = min(deadline, time.monotonic() + 2)
            while time.monotonic() < round_end:
                futures = [executor.submit(bodies.square, number) for number in range(50)]
                cancelled = {number for number in range(40, 50) if futures[number].cancel()}
                for number, future in enumerate(futures):
                    count += 1
                    try:
                        assert future.result(PATIENCE_SECONDS) == number * number
                    except TaskLost:
                        lost += 1
                    except CancelledError:
                        assert number in cancelled
            weather.end()
            kills += len(weather.killed)
    print(f"storm: seed {SEED}, {count} futures, {kills} kills, {lost} lost")
    assert lost <= kills


def test_pools_end_in_the_middle_of_it(context: SharedMemoryContext) -> None:
    chance = random.Random(SEED)
    deadline = time.monotonic() + SECONDS
    count = 0
    while time.monotonic() < deadline:
        pool = Pool(WORKERS, context=context)
        weather = Weather(pool._engine, pause_seconds(context))
        weather.start()
        results = pool.imap_unordered(bodies.square, range(chance.randrange(20_000)), retries=1000)
        how = chance.choice(["terminate", "close", "cancel"])
        pool.apply_async(bodies.square, (2,), retries=1000).get(PATIENCE_SECONDS)
        if how == "cancel":
            results.cancel()
            assert pool.apply_async(bodies.square, (3,), retries=1000).get(PATIENCE_SECONDS) == 9
        if how == "terminate":
            pool.terminate()
        else:
            pool.close()
        weather.end()
        pool.join()
        count += 1
    print(f"storm: seed {SEED}, {count} pools")
