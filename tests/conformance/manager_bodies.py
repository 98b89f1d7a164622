"""What the child processes of the tests of managers and pools run, and what managers share in them."""

import os
import signal
import sys
import threading
from collections.abc import Iterator
from typing import Any


class Counter:
    """A class of a user's, to be shared."""

    def __init__(self, start: int = 0) -> None:
        self.number = start

    def increase(self, amount: int = 1) -> int:
        self.number += amount
        return self.number

    def fail(self) -> None:
        raise ValueError("expected by the test")

    def _hidden(self) -> str:
        return "hidden"


def squares() -> Iterator[int]:
    return (number * number for number in range(5))


def use_containers(shared_dict: Any, shared_list: Any, shared_set: Any) -> None:
    shared_dict["from the child"] = 1
    shared_dict.add("count", 2)
    shared_list.append("from the child")
    shared_set.add("from the child")
    assert sorted(shared_dict) == sorted(shared_dict.keys())


def change_nested(shared_dict: Any) -> None:
    """Changes what is inside of a container in place."""
    shared_dict["list"].append(2)
    shared_dict["dict"]["deep"]["deeper"].append("x")
    shared_dict["set"].add("y")


def use_what_threads_use(lock: Any, event: Any, queue: Any, barrier: Any, value: Any, array: Any, names: Any) -> None:
    with lock:
        value.value += 1
    array[0] = 7
    names.greeting = "hello"
    barrier.wait()
    queue.put("put")
    event.set()


def wait_for_notice(condition: Any, semaphore: Any) -> None:
    with condition:
        semaphore.release()
        condition.wait()
    semaphore.release()


def take_lock_and_be_killed(lock: Any) -> None:
    lock.acquire()
    os.kill(os.getpid(), signal.SIGKILL)


def take_lock_and_say_so(lock: Any, conn: Any) -> None:
    """Ends when told to."""
    lock.acquire()
    conn.send(os.getpid())
    conn.recv()


def take_lock_and_end(lock: Any, last: Any) -> None:
    lock.acquire()
    last.append("ends")


def say_so_and_get(queue: Any, conn: Any) -> None:
    conn.send("gets")
    queue.get()


def hold_proxy_and_be_killed(shared_list: Any, conn: Any) -> None:
    conn.send(len(shared_list))
    os.kill(os.getpid(), signal.SIGKILL)


def add_often(shared_dict: Any, key: str, times: int) -> None:
    """Adds from two threads at the same time."""

    def add() -> None:
        for _ in range(times):
            shared_dict.add(key)

    threads = [threading.Thread(target=add) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()


def use_by_address(address: Any, authkey: bytes, conn: Any) -> None:
    """Reaches a manager by its address, and uses what its method returns."""
    from interproc.managers import BaseManager

    class Remote(BaseManager):
        pass

    Remote.register("counter")
    manager = Remote(address=address, authkey=authkey)
    manager.connect()
    counter: Any = manager.counter()  # type: ignore[attr-defined]
    conn.send(counter.increase(5))


def serve(conn: Any) -> None:
    """Is a manager's process, without a manager that started it."""
    from interproc.managers import SyncManager

    server = SyncManager(authkey=b"a key").get_server()
    conn.send(server.address)
    server.serve_forever()


def fork_and_use(shared_dict: Any) -> None:
    """Uses a proxy in a child of plain os.fork(), and afterwards in its parent."""
    shared_dict["parent"] = os.getpid()
    inner = shared_dict["inner"]
    pid = os.fork()
    if pid == 0:
        try:
            shared_dict["child"] = os.getpid()
            inner.append("child")
        finally:
            os._exit(0)
    os.waitpid(pid, 0)
    assert shared_dict["child"] == pid
    assert inner == ["child"]


def fail_to_initialize() -> None:
    raise ValueError("the initializer failed")


def exit_while_initializing() -> None:
    os._exit(7)


def remember(names: Any) -> None:
    names.initialized = True


def double(number: int) -> int:
    return 2 * number


def raise_unrebuildable() -> None:
    raise UnrebuildableError(1, 2)


class UnrebuildableError(Exception):
    """Takes arguments that it does not give to Exception, so that pickle cannot make it anew."""

    def __init__(self, first: int, second: int) -> None:
        super().__init__(f"of {first} and {second}")


class Unsendable:
    def __reduce__(self) -> Any:
        raise RuntimeError("cannot be pickled")


class Unrebuildable:
    def __reduce__(self) -> Any:
        return raise_os_error, ()


def raise_os_error() -> None:
    raise OSError("cannot be made anew")


def make_unsendable() -> Unsendable:
    return Unsendable()


def make_unrebuildable() -> Unrebuildable:
    return Unrebuildable()


def interrupt_self() -> None:
    os.kill(os.getpid(), signal.SIGINT)
    signal.pause()


def raise_interrupt() -> None:
    raise KeyboardInterrupt


def leave_with_three() -> None:
    sys.exit(3)


def set_and_get(_: int) -> int:
    return NUMBER[0]


NUMBER = [0]


def set_number(number: int) -> None:
    NUMBER[0] = number


def pid_of_worker(_: object = None) -> int:
    return os.getpid()


def note_and_raise(queue: Any) -> None:
    queue.put(os.getpid())
    raise ValueError("the initializer failed")


def send_array(size: int) -> Any:
    import array

    return array.array("b", bytes(size))
