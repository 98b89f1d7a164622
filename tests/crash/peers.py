"""After how many kills does a queue stop working? `python -m tests.crash.peers`, or `make storm-peers`.

Two producers and two consumers at work on one queue; one of them, at random, is killed and replaced, until nothing
arrives any more although everybody lives, or until the limit. The same for every library, from printed seeds.
"""

from __future__ import annotations

import argparse
import mmap
import multiprocessing
import os
import random
import signal
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from queue import Empty, Full
from typing import Any

import interproc

PRODUCERS = CONSUMERS = 2
PLACES = 64
LEAST_BYTES = 1 << 20
PAUSE_SECONDS = 0.01
WORD_BYTES = 8
BROKEN = 3  # exit status of a process to which the queue raised what it never should


def faster_fifo() -> Any:
    """Made on demand: few have it."""
    return import_module("faster_fifo").Queue(max_size_bytes=LEAST_BYTES)


QUEUES: dict[str, Callable[[], Any]] = {
    "multiprocessing.Queue": lambda: multiprocessing.get_context("fork").Queue(PLACES),
    "multiprocessing.SimpleQueue": lambda: multiprocessing.get_context("fork").SimpleQueue(),
    "faster-fifo": faster_fifo,
    "interproc.Queue": lambda: interproc.get_context("fork").Queue(PLACES),
    "interproc.SimpleQueue": lambda: interproc.get_context("fork").SimpleQueue(max_bytes=LEAST_BYTES),
}


@dataclass(frozen=True)
class Fate:
    """How one queue's round ended."""

    kills: int
    how: str

    def __str__(self) -> str:
        return f"{self.how} after {self.kills} kill{'' if self.kills == 1 else 's'}"


class Crew:
    """The processes at work on one queue. Each counts what it received in a word that all see."""

    def __init__(self, queue: Any) -> None:
        self._queue = queue
        self._counts = mmap.mmap(-1, WORD_BYTES * (PRODUCERS + CONSUMERS))
        self.pids = [0] * (PRODUCERS + CONSUMERS)

    def received(self) -> int:
        """How many messages arrived."""
        return sum(memoryview(self._counts).cast("Q"))

    def start(self, place: int) -> None:
        """Starts a process in that place."""
        pid = os.fork()
        if pid == 0:
            try:
                self._produce() if place < PRODUCERS else self._consume(place)
            finally:
                os._exit(BROKEN)
        self.pids[place] = pid

    def kill(self, place: int) -> None:
        """Kills and reaps the one in that place."""
        os.kill(self.pids[place], signal.SIGKILL)
        os.waitpid(self.pids[place], 0)
        self.pids[place] = 0

    def is_broken(self) -> bool:
        """Whether a process ended by itself."""
        for place, pid in enumerate(self.pids):
            if pid != 0 and os.waitpid(pid, os.WNOHANG)[0] == pid:
                self.pids[place] = 0
                return True
        return False

    def end(self) -> None:
        """Kills all."""
        for place, pid in enumerate(self.pids):
            if pid != 0:
                self.kill(place)
        self._counts.close()

    def _produce(self) -> None:
        while True:
            try:
                self._queue.put(b"a message")
            except Full:  # faster-fifo waits for ten seconds at most
                continue

    def _consume(self, place: int) -> None:
        words = memoryview(self._counts).cast("Q")
        while True:
            try:
                words[place] += self._queue.get() == b"a message"
            except Empty:
                continue


@contextmanager
def crew_at_work(queue: Any) -> Iterator[Crew]:
    """All in their places; killed at the end."""
    crew = Crew(queue)
    try:
        for place in range(PRODUCERS + CONSUMERS):
            crew.start(place)
        yield crew
    finally:
        crew.end()


def goes_on(crew: Crew, before: int, patience_seconds: float) -> str:
    """Waits until more has arrived than `before`. Returns how the queue failed, or nothing."""
    deadline = time.monotonic() + patience_seconds
    while crew.received() == before:
        if crew.is_broken():
            return "breaks"
        if time.monotonic() > deadline:
            return "hangs"
        time.sleep(0.001)
    return ""


def run(queue: Any, seed: int, most_kills: int, patience_seconds: float) -> Fate:
    """One round."""
    chance = random.Random(seed)
    with crew_at_work(queue) as crew:
        for kills in range(most_kills + 1):
            # Twice: what was on its way when the other died proves nothing.
            how = goes_on(crew, crew.received(), patience_seconds) or goes_on(crew, crew.received(), patience_seconds)
            if how or kills == most_kills:
                return Fate(kills, how or "goes on")
            time.sleep(chance.expovariate(1 / PAUSE_SECONDS))
            place = chance.randrange(PRODUCERS + CONSUMERS)
            if crew.is_broken():
                return Fate(kills, "breaks")
            crew.kill(place)
            crew.start(place)
    raise AssertionError("unreachable")


def main(argv: list[str]) -> int:
    """Prints a line for each queue. Exit status 1 if one of ours failed."""
    parser = argparse.ArgumentParser(prog="python -m tests.crash.peers", description=__doc__)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(1 << 32))
    parser.add_argument("--rounds", type=int, default=3, help="for each queue, from seeds one after the other")
    parser.add_argument("--kills", type=int, default=300, help="in a round, at most")
    parser.add_argument("--patience", type=float, default=5.0, help="seconds without a message that count as hanging")
    parser.add_argument("--only", choices=QUEUES, help="this queue alone")
    wish = parser.parse_args(argv)
    print(
        f"seeds {wish.seed} to {wish.seed + wish.rounds - 1}, {PRODUCERS} producers, {CONSUMERS} consumers", flush=True
    )
    failed = False
    for name, make in QUEUES.items():
        if wish.only not in (None, name):
            continue
        try:
            fates = [run(make(), wish.seed + i, wish.kills, wish.patience) for i in range(wish.rounds)]
        except ModuleNotFoundError as error:
            print(f"{name:<28} {error}", flush=True)
            continue
        print(f"{name:<28} {'; '.join(map(str, fates))}", flush=True)
        failed = failed or (name.startswith("interproc") and any(fate.how != "goes on" for fate in fates))
    return int(failed)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
