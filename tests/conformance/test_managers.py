"""Managers: starting, reaching and ending them, and everything that a SyncManager can share."""

import multiprocessing
import multiprocessing.managers
import os
import threading
from collections.abc import Iterator
from pathlib import Path
from queue import Empty
from typing import Any

import pytest

import interproc
from interproc import managers
from interproc.context import SharedMemoryContext
from interproc.errors import AbandonedWarning
from interproc.managers import BaseManager, ManagerDied, RemoteError, SharedMemoryManager, SyncManager
from tests import waiting_for
from tests.conformance import manager_bodies as bodies
from tests.contexts import PATIENCE_SECONDS, Children


class Custom(BaseManager):
    """Shares what a user has registered."""


Custom.register("counter", bodies.Counter)
Custom.register("hidden", bodies.Counter, exposed=("increase", "_hidden"))
Custom.register("squares", bodies.squares, proxytype=managers.IteratorProxy)


@pytest.fixture
def manager(context: SharedMemoryContext) -> Iterator[Any]:
    """A manager that runs."""
    with SyncManager(ctx=context) as started:
        yield started
    started.join()


def test_containers_are_shared(manager: Any, children: Children) -> None:
    shared_dict, shared_list, shared_set = manager.dict(a=1), manager.list([1]), manager.set({1})
    children.start(bodies.use_containers, shared_dict, shared_list, shared_set)
    children.join()
    assert shared_dict.copy() == {"a": 1, "from the child": 1, "count": 2}
    assert shared_list[:] == [1, "from the child"]
    assert shared_set.copy() == {1, "from the child"}


@pytest.mark.parametrize("kinds", [("Lock", "Queue"), ("RLock", "JoinableQueue"), ("Semaphore", "Queue")])
def test_what_threads_use_is_shared(manager: Any, children: Children, kinds: tuple[str, str]) -> None:
    lock, queue = (getattr(manager, kind)() for kind in kinds)
    event, barrier = manager.Event(), manager.Barrier(2)
    value, array, names = manager.Value("i", 1), manager.Array("i", [0, 1]), manager.Namespace(name="a name")
    children.start(bodies.use_what_threads_use, lock, event, queue, barrier, value, array, names)
    barrier.wait()
    assert event.wait(PATIENCE_SECONDS)
    assert (value.value, value.get(), list(array)) == (2, 2, [7, 1])
    assert (names.name, names.greeting) == ("a name", "hello")
    assert queue.get() == "put"
    with pytest.raises(Empty):
        queue.get_nowait()
    assert (barrier.parties, barrier.n_waiting, barrier.broken) == (2, 0, False)
    children.join()


def test_condition_wakes_processes_and_threads(manager: Any, children: Children) -> None:
    condition, semaphore = manager.Condition(), manager.Semaphore(0)
    children.start(bodies.wait_for_notice, condition, semaphore)
    thread = threading.Thread(target=bodies.wait_for_notice, args=(condition, semaphore))
    thread.start()
    for _ in range(2):
        semaphore.acquire()
    with condition:
        condition.notify_all()
    for _ in range(2):
        semaphore.acquire()
    thread.join()
    children.join()


def test_managers_are_instances_of_the_standard_librarys(manager: Any) -> None:
    assert isinstance(manager, multiprocessing.managers.SyncManager)


def test_locks_say_whether_they_are_held(manager: Any) -> None:
    for kind in ("Lock", "RLock", "Semaphore", "BoundedSemaphore"):
        lock = getattr(manager, kind)()
        assert not lock.locked()
        with lock:
            assert lock.locked()
        assert not lock.locked()


def test_pool_in_a_manager(manager: Any) -> None:
    with manager.Pool(1) as pool:
        assert pool.map(bodies.double, range(4)) == [0, 2, 4, 6]
        assert pool.apply_async(bodies.double, (4,)).get(PATIENCE_SECONDS) == 8
        assert list(pool.imap(bodies.double, range(3))) == [0, 2, 4]


def test_classes_of_the_user_are_shared(context: SharedMemoryContext) -> None:
    with Custom(ctx=context) as manager:
        custom: Any = manager
        counter = custom.counter(5)
        assert counter.increase(2) == 7
        assert not hasattr(counter, "_hidden")
        with pytest.raises(ValueError, match="expected by the test") as raised:
            counter.fail()
        assert "in fail" in str(raised.value.__cause__)
        with pytest.raises(RemoteError, match="_hidden"):
            counter._callmethod("_hidden")
        assert custom.hidden()._hidden() == "hidden"
        assert list(custom.squares()) == [0, 1, 4, 9, 16]


@pytest.mark.parametrize("address", [None, ("127.0.0.1", 0)])
def test_manager_is_reached_by_its_address(context: SharedMemoryContext, children: Children, address: Any) -> None:
    ours, theirs = context.Pipe()
    with Custom(address=address, authkey=b"a key", ctx=context) as manager:
        children.start(bodies.use_by_address, manager.address, b"a key", theirs)
        assert ours.recv(timeout=PATIENCE_SECONDS) == 5
        children.join()


def test_wrong_key_is_refused_and_harms_nobody(manager: Any) -> None:
    shared = manager.dict(a=1)
    stranger = SyncManager(address=manager.address, authkey=b"another key")
    with pytest.raises(interproc.AuthenticationError):
        stranger.connect()
    assert shared["a"] == 1


def test_xmlrpc(context: SharedMemoryContext) -> None:
    with Custom(address=("127.0.0.1", 0), serializer="xmlrpclib", ctx=context) as manager:
        reached: Any = Custom(address=manager.address, serializer="xmlrpclib")
        reached.connect()
        assert reached.counter(1).increase(2) == 3


def test_manager_comes_again_at_its_address(context: SharedMemoryContext, tmp_path: Path) -> None:
    address = str(tmp_path / "socket")
    first: Any = SyncManager(address=address, authkey=b"a key", ctx=context)
    first.start()
    stale = first.dict(a=1)
    first._process.kill()
    first.join()
    Path(address).unlink()
    second: Any = SyncManager(address=address, authkey=b"a key", ctx=context)
    with second:
        fresh = second.dict(b=2)
        assert fresh["b"] == 2
        reached: Any = SyncManager(address=address, authkey=b"a key")
        reached.connect()
        assert reached.dict(c=3)["c"] == 3
        with pytest.raises(ManagerDied):
            stale["a"]
        assert fresh["b"] == 2
        del fresh
    second.join()


def test_standard_clients_and_ours_understand_each_other(context: SharedMemoryContext) -> None:
    authkey = bytes(multiprocessing.current_process().authkey)
    with SyncManager(ctx=context) as ours:
        standard: Any = multiprocessing.managers.SyncManager(address=ours.address, authkey=authkey)
        standard.connect()
        shared = standard.dict(a=[1])
        shared["b"] = 2
        assert (shared["a"], sorted(shared), shared.copy()) == ([1], ["a", "b"], {"a": [1], "b": 2})
        with pytest.raises(KeyError):
            shared["c"]
    with multiprocessing.managers.SyncManager(ctx=multiprocessing.get_context(context.get_start_method())) as theirs:
        client: Any = SyncManager(address=theirs.address, authkey=authkey)
        client.connect()
        shared = client.dict(a=[1])
        shared["a"].append(2)  # a copy, as with the standard library's own proxies
        shared["b"] = 2
        assert (shared["a"], shared.copy(), list(shared)) == ([1], {"a": [1], "b": 2}, ["a", "b"])
        with pytest.raises(KeyError):
            shared["c"]


def test_initializer_runs_in_the_manager(context: SharedMemoryContext) -> None:
    with SyncManager(ctx=context) as started:
        other: Any = started
        names = other.Namespace()
        manager = SyncManager(ctx=context)
        manager.start(bodies.remember, (names,))
        assert names.initialized
        manager.shutdown()
        with pytest.raises(TypeError, match="callable"):
            SyncManager(ctx=context).start(1)  # type: ignore[arg-type]


def test_states_of_a_manager(context: SharedMemoryContext) -> None:
    manager: Any = SyncManager(ctx=context)
    with pytest.raises(AssertionError, match="not yet started"):
        manager.dict()
    manager.start()
    with pytest.raises(interproc.ProcessError, match="Already started"):
        manager.start()
    process = manager._process
    manager.shutdown()
    manager.join()
    assert process.exitcode == 0
    with pytest.raises(interproc.ProcessError, match="shut down"):
        manager.start()
    with pytest.raises(interproc.ProcessError, match="shut down"):
        manager.dict()


def test_server_may_be_run_by_hand(context: SharedMemoryContext, children: Children) -> None:
    ours, theirs = context.Pipe()
    children.start(bodies.serve, theirs)
    manager: Any = SyncManager(address=ours.recv(timeout=PATIENCE_SECONDS), authkey=b"a key")
    manager.connect()
    shared = manager.dict(a=[])
    shared["a"].append(1)
    assert shared.copy() == {"a": [1]}
    del shared
    with managers.listener_client["pickle"][1](manager.address, authkey=b"a key") as asking:
        managers.dispatch(asking, None, "shutdown")
    children.join()


def test_objects_live_as_long_as_somebody_has_a_proxy(manager: Any, context: SharedMemoryContext) -> None:
    first, second = manager.list(), manager.dict()
    assert manager._number_of_objects() == 2
    first.append(second)
    del second
    assert manager._number_of_objects() == 1
    assert first[0].copy() == {}
    del first
    assert manager._number_of_objects() == 0


def test_objects_of_a_killed_process_go_with_it(manager: Any, context: SharedMemoryContext, children: Children) -> None:
    ours, theirs = context.Pipe()
    shared = manager.list([1, 2])
    children.start(bodies.hold_proxy_and_be_killed, shared, theirs)
    assert ours.recv(timeout=PATIENCE_SECONDS) == 2
    assert shared[:] == [1, 2]
    del shared
    waiting_for.until(lambda: manager._number_of_objects() == 0)


def test_rlock_of_a_killed_process_goes_to_the_next(manager: Any, children: Children) -> None:
    for lock in (manager.RLock(), manager.Condition()):
        children.start(bodies.take_lock_and_be_killed, lock)
        assert lock.acquire(True, PATIENCE_SECONDS)
        lock.release()


def test_lock_of_a_killed_process_goes_to_the_next_with_a_warning(
    manager: Any, context: SharedMemoryContext, children: Children
) -> None:
    ours, theirs = context.Pipe()
    lock = manager.Lock()
    holder = children.start(bodies.take_lock_and_say_so, lock, theirs)
    pid = ours.recv(timeout=PATIENCE_SECONDS)
    holder.kill()
    with pytest.warns(AbandonedWarning, match=f"process {pid} was killed"):
        assert lock.acquire(True, PATIENCE_SECONDS)
    lock.release()
    assert lock.acquire(False)  # without a warning, which would be an error


def test_permits_of_a_killed_process_come_back(manager: Any, context: SharedMemoryContext, children: Children) -> None:
    ours, theirs = context.Pipe()
    semaphore = manager.BoundedSemaphore(1)
    holder = children.start(bodies.take_lock_and_say_so, semaphore, theirs)
    ours.recv(timeout=PATIENCE_SECONDS)
    holder.kill()
    assert semaphore.acquire(True, PATIENCE_SECONDS)
    semaphore.release()
    with pytest.raises(ValueError, match="released too many times"):
        semaphore.release()


@pytest.mark.parametrize("kind", ["Lock", "BoundedSemaphore"])
def test_lock_of_a_process_that_ended_stays_locked(manager: Any, children: Children, kind: str) -> None:
    lock, last = getattr(manager, kind)(), manager.list()
    children.start(bodies.take_lock_and_end, lock, last)
    children.join()
    del last
    waiting_for.until(lambda: manager._number_of_objects() == 1)  # the process is forgotten
    assert not lock.acquire(False)
    lock.release()  # as anybody may
    assert lock.acquire(False)


def test_item_that_a_killed_process_waited_for_stays_in_the_queue(
    manager: Any, context: SharedMemoryContext, children: Children
) -> None:
    ours, theirs = context.Pipe()
    queue = manager.Queue()
    consumer = children.start(bodies.say_so_and_get, queue, theirs)
    assert ours.recv(timeout=PATIENCE_SECONDS) == "gets"
    consumer.kill()
    consumer.join()
    queue.put("item")
    assert queue.get(True, PATIENCE_SECONDS) == "item"


def test_proxies_work_after_a_plain_fork(manager: Any, children: Children) -> None:
    shared = manager.dict(inner=[])
    children.start(bodies.fork_and_use, shared)
    children.join()
    assert shared["inner"] == ["child"]


def test_manager_ends_with_a_killed_parent(context: SharedMemoryContext) -> None:
    ours, theirs = context.Pipe()
    parent = context.Process(target=_start_manager_and_wait, args=(context.get_start_method(), theirs))
    parent.start()
    pid = ours.recv(timeout=PATIENCE_SECONDS)
    parent.kill()
    parent.join()
    parent.close()
    waiting_for.until(lambda: not _is_running(pid))


def _start_manager_and_wait(method: str, conn: Any) -> None:
    manager: Any = SyncManager(ctx=interproc.get_context(method))
    manager.start()
    conn.send(manager._process.pid)
    threading.Event().wait()


def _is_running(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] not in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_calls_to_an_ended_manager_raise(context: SharedMemoryContext) -> None:
    manager: Any = SyncManager(ctx=context)
    manager.start()
    shared = manager.dict()
    manager.shutdown()
    with pytest.raises(ManagerDied):
        shared["a"] = 1
    del shared


def test_manager_that_cannot_listen_raises(context: SharedMemoryContext) -> None:
    manager = SyncManager(address="/no/such/folder/socket", ctx=context)
    with pytest.raises(FileNotFoundError, match="/no/such/folder"):
        manager.start()


def test_shared_memory_manager(context: SharedMemoryContext) -> None:
    from interproc.shared_memory import ShareableList, SharedMemory

    manager = SharedMemoryManager(ctx=context)
    with pytest.raises(ValueError, match="does not serve"):
        manager.SharedMemory(9)
    with manager:
        block, numbers = manager.SharedMemory(64), manager.ShareableList(range(5))
        block.buf[:5] = b"hello"
        assert bytes(SharedMemory(block.name).buf[:5]) == b"hello"
        assert list(ShareableList(name=numbers.shm.name)) == [0, 1, 2, 3, 4]
        names = block.name, numbers.shm.name
        assert manager._ask("list_segments") == list(names)
    for name in names:
        with pytest.raises(FileNotFoundError):
            SharedMemory(name)


def test_server_is_left_alone_by_ctrl_c(context: SharedMemoryContext) -> None:
    import signal

    with SyncManager(ctx=context) as manager:
        started: Any = manager
        shared = started.list()
        os.kill(started._process.pid, signal.SIGINT)
        shared.append(1)
        assert shared[:] == [1]
