"""What the workers of the tests of pools run."""

import importlib
import os
import signal
import time
from typing import Any


def square(number: int) -> int:
    return number * number


def pid() -> int:
    return os.getpid()


def pid_for(_: object) -> int:
    return os.getpid()


def die(_: object = None) -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def die_of_three(number: int) -> int:
    if number == 3:
        die()
    return number


def leave(code: int) -> None:
    os._exit(code)


def count_and_die(counter: Any, most: int) -> int:
    """Dies as often as it is told, then returns how often it was called."""
    with counter.get_lock():
        counter.value += 1
        called: int = counter.value
    if called <= most:
        die()
    return called


def say_and_sleep(queue: Any) -> None:
    queue.put(os.getpid())
    time.sleep(600)


def say_and_wait(queue: Any, event: Any) -> int:
    queue.put(os.getpid())
    event.wait()
    return os.getpid()


def meet(barrier: Any) -> int:
    place: int = barrier.wait(60)
    return place


def ignore_sigterm(queue: Any) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    queue.put(os.getpid())
    time.sleep(600)


def catch_sigterm() -> None:
    signal.signal(signal.SIGTERM, lambda *_: None)


def total(array: Any) -> float:
    return float(array.sum())


def doubled(array: Any) -> Any:
    return array * 2


_counts: Any = None


def keep_counts(counts: Any) -> None:
    """An initializer: what `note` counts in."""
    global _counts
    _counts = counts


def note(number: int) -> int:
    """Counts that this task ran. One process at a time runs it."""
    _counts[number] += 1
    time.sleep(0.0005)
    return number


class DiesWhenSent:
    """Kills the process that pickles it."""

    def __reduce__(self) -> Any:
        die()


class DiesWhenReceived:
    """Kills the process that unpickles it."""

    def __reduce__(self) -> Any:
        return die, ()


def make_deadly() -> DiesWhenSent:
    return DiesWhenSent()


def wait_for(event: Any) -> None:
    event.wait()


def imports(name: str) -> str:
    return importlib.import_module(name).__name__
