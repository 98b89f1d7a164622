"""What the child processes of the tests of arrays run."""

from typing import Any

KEPT: list[Any] = []


def hold(queue: Any, count: int, results: Any) -> None:
    """Keeps what it takes until it is killed."""
    kept = [queue.get() for _ in range(count)]
    results.put(len(kept))
    queue.get()


def keep_to_the_end(queue: Any, count: int) -> None:
    """Keeps what it takes until the interpreter has gone."""
    KEPT.extend(queue.get() for _ in range(count))


def add_one(tasks: Any, results: Any) -> None:
    """Writes into every array, and sends it back."""
    while (array := tasks.get()) is not None:
        array += 1
        results.put(array)


def write_when_told(array: Any, conn: Any) -> None:
    """Writes into an inherited or received array, and tells what it saw before and after."""
    before = int(array.sum())
    conn.recv()
    between = int(array.sum())
    array += 1
    conn.send((before, between, int(array.sum())))


def send_back(tasks: Any, results: Any) -> None:
    while (array := tasks.get()) is not None:
        results.put(array)
