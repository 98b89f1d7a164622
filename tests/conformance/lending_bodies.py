"""What the child processes of the tests of lending run."""

import os
import signal
from typing import Any

import numpy as np

KEPT: list[Any] = []


def lend_and_put(queue: Any, count: int, length: int) -> None:
    """Puts `count` lent arrays, each full of its number."""
    for number in range(count):
        array = queue.empty_array(length, np.int64)
        array[:] = number
        queue.put((number, array))


def lend_and_send(conn: Any, count: int, length: int) -> None:
    """Sends `count` lent arrays, each full of its number."""
    for number in range(count):
        array = conn.empty_array(length, np.int64)
        array[:] = number
        conn.send({"number": number, "array": array})


def keep_to_the_end(queue: Any, count: int) -> None:
    """Borrows arrays that are still there when the interpreter has gone."""
    KEPT.extend(queue.empty_array(1 << 17) for _ in range(count))
    queue.put(len(KEPT))


def borrow_put_and_die(queue: Any, count: int) -> None:
    """Has arrays lent, puts every other one, and is killed."""
    arrays = [queue.empty_array(1 << 17) for _ in range(count)]
    for number, array in enumerate(arrays):
        array[:] = number
    for array in arrays[::2]:
        queue.put(array)
    os.kill(os.getpid(), signal.SIGKILL)


def write_and_put(queue: Any, array: Any) -> None:
    """Changes an array that the parent was lent, and puts it."""
    array += 1
    queue.put(array)
    try:
        array.sum()
    except ValueError:
        queue.put("raised")
