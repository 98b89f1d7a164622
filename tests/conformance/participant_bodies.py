"""What children do in the tests of participants: they use a queue or a pipe, say so, and stay."""

import signal
from typing import Any


def use_and_stay(thing: Any, method: str, args: tuple[Any, ...], conn: Any) -> None:
    """Calls a method, whatever comes of it, tells that it has, and waits to be killed."""
    try:
        getattr(thing, method)(*args)
        conn.send("done")
    except Exception as error:
        conn.send(type(error).__name__)
    signal.pause()


def use_and_close(thing: Any, method: str, conn: Any) -> None:
    """Calls a method, closes, tells that it has, and waits to be killed."""
    getattr(thing, method)()
    thing.close()
    conn.send("closed")
    signal.pause()


def put_until_nobody_takes(queue: Any, conn: Any) -> None:
    """Tells how putting ended."""
    try:
        while True:
            queue.put("more")
    except Exception as error:
        conn.send(type(error).__name__)


def put_numbers(queue: Any, count: int) -> None:
    for number in range(count):
        queue.put(number)
