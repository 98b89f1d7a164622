"""PAINS rows 16, 45 and 52: managers keep what is changed in place, say that they died, and start under any TMPDIR."""

import signal
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import interproc
from interproc.context import SharedMemoryContext
from interproc.managers import ManagerDied, SyncManager
from tests.conformance import manager_bodies as bodies
from tests.contexts import PATIENCE_SECONDS, START_METHODS, Children
from tests.programs import running

# Room for what pytest puts before it; a socket's path may have 107 bytes.
LONG_NAME = "x" * 120


@pytest.fixture
def manager(context: SharedMemoryContext) -> Iterator[Any]:
    """A manager that runs."""
    with SyncManager(ctx=context) as started:
        yield started
    started.join()


def test_nested_objects_are_stored_when_changed(manager: Any, children: Children) -> None:
    shared = manager.dict()
    shared["x"] = []
    shared["x"].append(1)
    assert shared["x"] == [1]
    shared.update(list=[1], dict={"deep": {"deeper": []}}, set=set())
    children.start(bodies.change_nested, shared)
    children.join()
    assert shared.copy() == {"x": [1], "list": [1, 2], "dict": {"deep": {"deeper": ["x"]}}, "set": {"y"}}


def test_updates_in_one_step_lose_nothing(manager: Any, children: Children) -> None:
    shared = manager.dict()
    for _ in range(3):
        children.start(bodies.add_often, shared, "count", 100)
    bodies.add_often(shared, "count", 100)
    children.join()
    assert shared["count"] == 4 * 2 * 100


def test_threads_share_a_proxy(manager: Any) -> None:
    shared, failures = manager.dict(), []

    def use(name: int) -> None:
        for number in range(100):
            shared[name] = number
            if shared[name] != number:
                failures.append((name, number))

    threads = [threading.Thread(target=use, args=(name,)) for name in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
    assert shared.copy() == dict.fromkeys(range(4), 99)


def test_forked_proxies_do_not_share_a_connection(manager: Any, children: Children) -> None:
    shared = manager.dict(inner=[])
    for _ in range(2):
        shared["inner"].clear()
        process = children.start(bodies.fork_and_use, shared)
        assert shared.get("inner") is not None
        children.join(process)


@pytest.mark.parametrize(
    "call",
    [
        lambda manager, shared, element: shared.__setitem__("a", 1),
        lambda manager, shared, element: shared["element"],
        lambda manager, shared, element: element.append(1),
        lambda manager, shared, element: manager.dict(),
    ],
)
def test_killed_manager_is_named(context: SharedMemoryContext, call: Callable[..., Any]) -> None:
    manager: Any = SyncManager(ctx=context)
    manager.start()
    shared = manager.dict(element=[])
    element, process = shared["element"], manager._process
    process.kill()
    process.join()
    for _ in range(2):
        with pytest.raises(ManagerDied, match=f"process {process.pid}") as raised:
            call(manager, shared, element)
        assert isinstance(raised.value, EOFError)
        assert isinstance(raised.value, ConnectionError)
        assert raised.value.pid == process.pid
    del shared, element
    manager.shutdown()
    manager.join()


def test_manager_killed_during_a_call_ends_the_call(context: SharedMemoryContext) -> None:
    manager: Any = SyncManager(ctx=context)
    manager.start()
    queue, event, outcome = manager.Queue(), manager.Event(), []

    def wait(event: Any, queue: Any) -> None:
        event.set()
        try:
            queue.get()
        except ManagerDied as error:
            outcome.append(error.pid)

    thread = threading.Thread(target=wait, args=(event, queue))
    thread.start()
    assert event.wait(PATIENCE_SECONDS)
    process = manager._process
    process.kill()
    thread.join(PATIENCE_SECONDS)
    assert outcome == [process.pid]
    del queue, event
    manager.shutdown()
    manager.join()


def test_interrupted_call_leaves_the_proxy_usable(manager: Any) -> None:
    queue, shared = manager.Queue(), manager.dict()
    _interrupt_during(queue.get)
    shared["a"] = 1
    assert shared["a"] == 1
    queue.put("for the call that was interrupted, which goes on in the manager, if nobody else took it")
    assert queue.get(True, PATIENCE_SECONDS)


def test_lock_of_an_interrupted_call_goes_back(manager: Any) -> None:
    lock = manager.Lock()
    lock.acquire()
    _interrupt_during(lock.acquire)
    lock.release()
    assert lock.acquire(True, PATIENCE_SECONDS)


def _interrupt_during(call: Callable[[], object]) -> None:
    """Raises KeyboardInterrupt from a signal handler while a call blocks, and expects that it comes through."""
    before = signal.signal(signal.SIGALRM, _interrupt)
    try:
        with pytest.raises(KeyboardInterrupt):
            signal.setitimer(signal.ITIMER_REAL, 0.2)
            call()
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def _interrupt(number: int, frame: object) -> None:
    raise KeyboardInterrupt


def test_failing_initializer_raises_where_the_manager_is_started(context: SharedMemoryContext) -> None:
    manager = SyncManager(ctx=context)
    with pytest.raises(ValueError, match="the initializer failed") as raised:
        manager.start(bodies.fail_to_initialize)
    assert "in fail_to_initialize" in str(raised.value.__cause__)
    manager = SyncManager(ctx=context)
    with pytest.raises(interproc.ProcessError, match="ended with exit code 7"):
        manager.start(bodies.exit_while_initializing)


PROGRAM = """
import sys, tempfile, interproc
from interproc.managers import SyncManager
with SyncManager(ctx=interproc.get_context(sys.argv[1])) as manager:
    shared = manager.dict(a=1)
    print(len(tempfile.gettempdir()) > 107, shared["a"])
"""


@pytest.mark.parametrize("method", START_METHODS)
def test_manager_starts_wherever_tmpdir_is(tmp_path: Path, method: str) -> None:
    folder = tmp_path / LONG_NAME
    folder.mkdir()
    with running(PROGRAM, method, environment={"TMPDIR": str(folder)}) as program:
        assert program.end() == "True 1\n"
