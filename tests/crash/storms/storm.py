"""Storm: processes at work, and a hand that kills, stops and replaces them at random until it is called off."""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from interproc.context import SharedMemoryContext
from interproc.process import BaseProcess
from tests.contexts import PATIENCE_SECONDS
from tests.waiting_for import until

SEED = int(os.environ.get("INTERPROC_STORM_SEED") or random.SystemRandom().randrange(1 << 32))
SECONDS = float(os.environ.get("INTERPROC_STORM_SECONDS") or 0.3)
STOPPED_SHARE = 0.25  # of what befalls a process is a stop
LONGEST_STOP_SECONDS = 0.3


@dataclass
class Worker:
    """One process of a storm.

    Attributes:
        role: What it does.
        place: Its number in the ledger, which no other process of the storm has.
        process: The process.
        continues_at: When it goes on if it is stopped, else 0.
        killed: Whether the storm killed it.
    """

    role: str
    place: int
    process: BaseProcess
    continues_at: float = 0.0
    killed: bool = False

    def signal(self, number: int) -> None:
        """Sends it a signal, if it is still there."""
        assert self.process.pid is not None
        if self.process.exitcode is None:
            os.kill(self.process.pid, number)


@dataclass
class Storm:
    """A bounded time of random deaths.

    Attributes:
        context: How processes are started.
        pause_seconds: Between two blows, on average.
        progress: Counts what got done: when it stands still for long, something hangs.
        seed: What befalls whom and when follows from it, as far as the processes keep the same pace.
    """

    context: SharedMemoryContext
    pause_seconds: float
    progress: Callable[[], int]
    seed: int = SEED
    kills: int = 0
    stops: int = 0
    workers: list[Worker] = field(default_factory=list)
    killed: dict[str, list[int]] = field(default_factory=dict)
    places: int = 0

    def start(self, role: str, target: Callable[..., object], *arguments: object) -> Worker:
        """Starts a process; `target` gets its place in the ledger first."""
        process = self.context.Process(target=target, args=(self.places, *arguments))
        process.start()
        self.workers.append(Worker(role, self.places, process))
        self.places += 1
        return self.workers[-1]

    def rage(self, replace: Callable[[Worker], object]) -> None:
        """Kills and stops for SECONDS. `replace` is called after each end and starts what shall come instead."""
        print(f"storm: INTERPROC_STORM_SEED={self.seed} INTERPROC_STORM_SECONDS={SECONDS:g}", flush=True)
        chance = random.Random(self.seed)
        begun = time.monotonic()
        moved_at, moved = begun, self.progress()
        next_blow = begun + self.pause_seconds
        while (now := time.monotonic()) < begun + SECONDS:
            if now >= next_blow:
                self._strike(chance, now)
                next_blow = now + chance.expovariate(1 / self.pause_seconds)
            self._let_continue(now)
            for worker in self._ended():
                replace(worker)
            if (reached := self.progress()) != moved:
                moved_at, moved = now, reached
            assert now - moved_at < PATIENCE_SECONDS, f"nothing moves any more: {self}"
            time.sleep(0.001)
        self._let_continue(float("inf"))
        # With every consumer killed in the last moments, say, the producers would wait for one for ever, and rightly.
        until(lambda: self._are_replaced(replace))

    def _are_replaced(self, replace: Callable[[Worker], object]) -> bool:
        for worker in self._ended():
            replace(worker)
        return not any(worker.killed for worker in self.workers)

    def calm(self, *roles: str) -> None:
        """Waits until all processes of these roles, or all, have ended, and expects that they ended well."""

        def is_over() -> bool:
            self._ended()
            return not any(worker.role in roles or not roles for worker in self.workers)

        try:
            until(is_over)
        except AssertionError as error:
            raise AssertionError(f"some do not end: {self}") from error

    def _strike(self, chance: random.Random, now: float) -> None:
        worker = chance.choice(self.workers)
        if worker.killed:
            return
        if worker.continues_at == 0 and chance.random() < STOPPED_SHARE:
            worker.signal(signal.SIGSTOP)
            worker.continues_at = now + chance.uniform(0, LONGEST_STOP_SECONDS)
            self.stops += 1
            return
        worker.signal(signal.SIGKILL)
        worker.killed = True
        self.kills += 1

    def _let_continue(self, now: float) -> None:
        for worker in self.workers:
            if 0 < worker.continues_at <= now:
                worker.signal(signal.SIGCONT)
                worker.continues_at = 0

    def _ended(self) -> list[Worker]:
        ended = [worker for worker in self.workers if worker.process.exitcode is not None]
        for worker in ended:
            self.workers.remove(worker)
            code = worker.process.exitcode
            worker.process.close()
            was_killed = code == -signal.SIGKILL and worker.killed
            assert code == 0 or was_killed, f"a {worker.role} ended with exit code {code}: {self}"
            if was_killed:
                self.killed.setdefault(worker.role, []).append(worker.place)
        return ended

    def end(self) -> None:
        """Kills and reaps all."""
        for worker in self.workers:
            worker.process.kill()
            worker.process.join()
            worker.process.close()

    def __str__(self) -> str:
        left = ", ".join(f"{worker.role} {worker.process.pid}" for worker in self.workers)
        return f"INTERPROC_STORM_SEED={self.seed}, {self.kills} kills, {self.stops} stops, {left}"


@contextmanager
def storm(context: SharedMemoryContext, pause_seconds: float, progress: Callable[[], int]) -> Iterator[Storm]:
    """A storm that leaves no process behind, and says at its end what it did."""
    one = Storm(context, pause_seconds, progress)
    try:
        yield one
        print(f"storm: {one.kills} kills, {one.stops} stops, {one.places} processes, {one.progress()} done", flush=True)
    finally:
        one.end()
