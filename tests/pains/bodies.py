"""What the child processes of these tests run. Imports nothing slow, since fresh interpreters import it."""

import os
import signal
import threading
from typing import Any


def get_for_ever(queue: Any) -> None:
    queue.get()


def put_one(queue: Any, item: Any) -> None:
    queue.put(item)


def put_megabytes(queue: Any, megabytes: int) -> None:
    queue.put(b"x" * (megabytes << 20))


def send_megabytes(conn: Any, megabytes: int) -> None:
    conn.send_bytes(b"y" * (megabytes << 20))


def put_and_exit_at_once(queue: Any) -> None:
    queue.put("x")
    os._exit(0)


def put_and_be_terminated(queue: Any) -> None:
    queue.put("x")
    os.kill(os.getpid(), signal.SIGTERM)
    signal.pause()


def look(queue: Any, conn: Any) -> None:
    """Tells, each time it is asked, what this process sees of the queue, and takes the item."""
    while conn.recv():
        conn.send((queue.empty(), queue.qsize(), queue.get_nowait()))


def receive_messages(conn: Any, count: int, results: Any) -> None:
    results.put([conn.recv_bytes() for _ in range(count)])


def send_from_threads(conn: Any, count: int, size: int) -> None:
    """Sends from two threads at the same time."""

    def send(letter: bytes) -> None:
        for _ in range(count):
            conn.send_bytes(letter * size)

    threads = [threading.Thread(target=send, args=(letter,)) for letter in (b"a", b"b")]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def put_when_told(queue: Any, conn: Any) -> None:
    while (item := conn.recv()) is not None:
        queue.put(item)
        conn.send("put")


def use(queue: Any) -> str:
    """A pool task that gets a queue as its argument."""
    queue.put("from a task")
    return "done"


def hold(lock: Any, conn: Any) -> None:
    lock.acquire()
    conn.send("held")
    signal.pause()


def wait_for_event(event: Any, conn: Any) -> None:
    conn.send("waiting")
    event.wait()


def wait_for_condition(condition: Any, conn: Any) -> None:
    with condition:
        conn.send("waiting")
        condition.wait()


def pass_barrier(barrier: Any) -> None:
    barrier.wait()


def add(value: Any, times: int) -> None:
    for _ in range(times):
        value.add(1)


def attach_and_close(name: str) -> None:
    from interproc.shared_memory import SharedMemory

    memory = SharedMemory(name)
    memory.buf[0] = 1
    memory.close()


def connect_with_key(address: Any, authkey: bytes) -> None:
    from interproc.connection import Client

    with Client(address, authkey=authkey) as conn:
        conn.send("let in")


def get_and_be_killed(queue: Any) -> None:
    queue.get()
    os.kill(os.getpid(), signal.SIGKILL)
