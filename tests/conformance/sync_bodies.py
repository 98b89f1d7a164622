"""What the child processes of the tests of locks and values run. Imports nothing slow."""

import os
import signal
from typing import Any


def add_under_lock(lock: Any, value: Any, times: int) -> None:
    for _ in range(times):
        with lock:
            value.value += 1


def add_atomically(value: Any, times: int) -> None:
    for _ in range(times):
        value.add(1)


def tell_state(lock: Any, conn: Any) -> None:
    """Answers each request with what this process sees of a lock or semaphore."""
    while (request := conn.recv()) != "end":
        try:
            conn.send(getattr(lock, request)(*([False] if request == "acquire" else [])))
        except (ValueError, AssertionError) as error:
            conn.send(type(error).__name__)


def take_and_wait(lock: Any, conn: Any) -> None:
    """Takes a lock, tells, and waits for its death or a message."""
    lock.acquire()
    conn.send("taken")
    conn.recv()


def take_and_end(lock: Any) -> None:
    lock.acquire()


def take_and_exit_at_once(lock: Any) -> None:
    lock.acquire()
    os._exit(0)


def wait_for_notice(condition: Any, ready: Any, results: Any) -> None:
    with condition:
        ready.release()
        results.put((os.getpid(), condition.wait()))


def wait_in_order(condition: Any, number: int, ready: Any, results: Any) -> None:
    with condition:
        ready.release()
        condition.wait()
        results.put(number)


def wait_for_flag(event: Any, ready: Any, results: Any) -> None:
    ready.release()
    results.put(event.wait())


def pass_barrier(barrier: Any, rounds: int, results: Any) -> None:
    try:
        results.put([barrier.wait() for _ in range(rounds)])
    except Exception as error:
        results.put(type(error).__name__)


def put_one(queue: Any, item: Any) -> None:
    """As an action of a barrier that can travel."""
    queue.put(item)


def pass_barrier_once_and_die(barrier: Any) -> None:
    barrier.wait()
    os.kill(os.getpid(), signal.SIGKILL)


def pass_barrier_once(barrier: Any) -> None:
    barrier.wait()


def wait_at_barrier(barrier: Any) -> None:
    barrier.wait()


def change_shared(values: dict[str, Any]) -> None:
    """Changes what test_values_travel_and_are_shared made."""
    values["value"].value += 1
    values["array"][1] = 2.5
    values["raw_value"].value = 7
    values["raw_array"][2] = 9
    values["text"].value = b"changed"
    values["point"].x = 3.25


def receive_and_change(queue: Any, done: Any) -> None:
    change_shared(queue.get())
    done.put("done")
