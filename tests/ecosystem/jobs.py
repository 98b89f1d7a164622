"""What the libraries' workers are asked to do; importable, because most of them pickle functions by name."""

import os
import signal
import time
from typing import Any

from interproc.queues import Queue

MATRIX_SIZE = 512


def square(number: int) -> int:
    return number * number


def fail(text: str) -> None:
    raise ValueError(text)


def die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def sleep_for_ever() -> None:
    while True:
        time.sleep(3600)


def process_id() -> int:
    return os.getpid()


def count_and_report(lock: Any, counter: Any, reports: "Queue[int]", number: int) -> None:
    """Uses a lock, a value and a queue that came with the arguments."""
    with lock:
        counter.value += number
    reports.put(number)


def trace(matrix: Any) -> float:
    return float(matrix.trace())


kept: Any = None


def keep(given: Any) -> None:
    """Keeps what an initializer is given, for `report_what_is_kept`."""
    global kept
    kept = given


def report_what_is_kept(number: int) -> None:
    kept.put(number)


def send_back(tasks: Any, results: Any) -> None:
    while (item := tasks.get()) is not None:
        results.put(item)
