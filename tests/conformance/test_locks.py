"""The contract of Lock, RLock, Semaphore and BoundedSemaphore, over every start method."""

import gc
import os
import pickle
import threading
import warnings
from typing import Any

import pytest

import interproc
from interproc.context import SharedMemoryContext
from interproc.errors import AbandonedError, AbandonedWarning
from interproc.synchronize import SEM_VALUE_MAX, SemLock
from tests.binding.helpers import Interruption, in_thread, interrupt, signal_once
from tests.conformance import sync_bodies
from tests.contexts import PATIENCE_SECONDS, Children
from tests.waiting_for import until

KINDS = ("Lock", "RLock", "Semaphore", "BoundedSemaphore")


@pytest.mark.parametrize("kind", KINDS)
def test_excludes_across_processes(context: SharedMemoryContext, children: Children, kind: str) -> None:
    lock, value = getattr(context, kind)(), context.RawValue("l")
    for _ in range(3):
        children.start(sync_bodies.add_under_lock, lock, value, 3000)
    sync_bodies.add_under_lock(lock, value, 3000)
    children.join()
    assert value.value == 12_000


def test_any_process_may_release_a_lock(context: SharedMemoryContext, children: Children) -> None:
    lock = context.Lock()
    ours, theirs = context.Pipe()
    children.start(sync_bodies.tell_state, lock, theirs)

    def child(request: str) -> Any:
        ours.send(request)
        return ours.recv(timeout=PATIENCE_SECONDS)

    assert lock.acquire()
    assert child("acquire") is False
    assert child("locked") is True
    assert child("release") is None
    assert not lock.locked()
    assert child("release") == "ValueError"
    assert child("acquire") is True
    assert lock.acquire(timeout=0.01) is False
    lock.release()
    ours.send("end")
    children.join()


def test_only_the_holder_may_release_an_rlock(context: SharedMemoryContext, children: Children) -> None:
    lock = context.RLock()
    ours, theirs = context.Pipe()
    children.start(sync_bodies.tell_state, lock, theirs)
    with lock, lock:
        ours.send("release")
        assert ours.recv(timeout=PATIENCE_SECONDS) == "AssertionError"
        with in_thread(lock.release) as outcome:
            pass
        assert isinstance(outcome[0], AssertionError)
    with pytest.raises(AssertionError, match="not owned by thread"):
        lock.release()
    ours.send("end")
    children.join()


def test_permits_are_counted_across_processes(context: SharedMemoryContext, children: Children) -> None:
    semaphore = context.Semaphore(2)
    ours, theirs = context.Pipe()
    children.start(sync_bodies.tell_state, semaphore, theirs)
    ours.send("acquire")
    assert ours.recv(timeout=PATIENCE_SECONDS) is True
    assert semaphore.get_value() == 1
    assert semaphore.acquire()
    assert semaphore.locked()
    assert not semaphore.acquire(block=False)
    for _ in range(5):
        semaphore.release()
    assert semaphore.get_value() == 5
    ours.send("end")
    children.join()


@pytest.mark.parametrize("kind", KINDS)
def test_travels_through_a_queue_and_stays_the_same(
    context: SharedMemoryContext, children: Children, kind: str
) -> None:
    lock = getattr(context, kind)()
    queue = context.Queue()
    queue.put(lock)
    copy = queue.get()
    assert type(copy) is type(lock)
    with copy:
        if kind != "RLock":
            assert lock.locked()
            assert not lock.acquire(False)
    assert lock.acquire(False)
    lock.release()


# --- alone -----------------------------------------------------------------------------------------------------------


def test_bounds_and_wrong_releases_raise_what_multiprocessing_raises() -> None:
    with pytest.raises(ValueError, match="too many times"):
        interproc.Lock().release()
    bounded = interproc.BoundedSemaphore(2)
    with pytest.raises(ValueError, match="too many times"):
        bounded.release()
    for value in (-1, SEM_VALUE_MAX + 1):
        with pytest.raises(ValueError, match="semaphore"):
            interproc.Semaphore(value)
    with pytest.raises(TypeError):
        interproc.Semaphore("2")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="on_abandoned"):
        interproc.Lock(on_abandoned="shrug")  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="kind"):
        SemLock(7, 1, 1)


@pytest.mark.parametrize("timeout", [0, -1, -0.5, 0.0, 0.01])
def test_timeouts_that_have_passed(timeout: float) -> None:
    lock = interproc.Lock()
    lock.acquire()
    assert lock.acquire(True, timeout) is False
    assert lock.acquire(block=False, timeout=timeout) is False
    lock.release()


@pytest.mark.parametrize(("timeout", "error"), [("1", TypeError), (float("nan"), ValueError), ([], TypeError)])
def test_timeouts_that_are_none(timeout: Any, error: type[Exception]) -> None:
    with pytest.raises(error):
        interproc.Lock().acquire(True, timeout)


def test_waiters_of_the_same_process_get_the_lock_one_after_the_other() -> None:
    lock = interproc.Lock()
    got = []

    def take() -> None:
        with lock:
            got.append(threading.get_ident())

    lock.acquire()
    threads = [threading.Thread(target=take) for _ in range(5)]
    for thread in threads:
        thread.start()
    lock.release()
    for thread in threads:
        thread.join(PATIENCE_SECONDS)
    assert sorted(got) == sorted(thread.ident or 0 for thread in threads)


def test_signal_handlers_run_while_waiting_and_may_end_it() -> None:
    lock = interproc.Lock()
    lock.acquire()
    about_to_wait = threading.Event()
    with (
        signal_once(lambda: about_to_wait.is_set() and _sleeps(os.getpid()), interrupt),
        pytest.raises(Interruption),
    ):
        about_to_wait.set()
        lock.acquire()
    lock.release()
    assert lock.acquire(False)


def test_repr_names_the_holder() -> None:
    lock, rlock = interproc.Lock(), interproc.RLock()
    assert (repr(lock), repr(rlock)) == ("<Lock(owner=None)>", "<RLock(None, 0)>")
    with lock, rlock, rlock:
        assert repr(lock) == "<Lock(owner=MainProcess)>"
        assert repr(rlock) == "<RLock(MainProcess, 2)>"
        with in_thread(lambda: (repr(lock), repr(rlock))) as outcome:
            pass
        assert outcome == [("<Lock(owner=SomeOtherThread)>", "<RLock(SomeOtherThread, nonzero)>")]
    assert repr(interproc.Semaphore(3)) == "<Semaphore(value=3)>"
    assert repr(interproc.BoundedSemaphore(3)) == "<BoundedSemaphore(value=3, maxvalue=3)>"


def test_locks_cost_no_descriptor() -> None:
    interproc.Lock()  # the first of a process makes the shared page
    before = len(os.listdir("/proc/self/fd"))
    kept = [interproc.Lock() for _ in range(500)]
    assert len(os.listdir("/proc/self/fd")) == before
    del kept


def test_cells_come_back() -> None:
    for _ in range(20_000):  # several times what one segment has
        interproc.Condition(interproc.Lock())
    gc.collect()
    assert len([name for name in os.listdir("/proc/self/map_files") if _is_ours(name)]) < 64


def _is_ours(name: str) -> bool:
    try:
        return "interproc" in os.readlink(f"/proc/self/map_files/{name}")
    except OSError:
        return False


def test_plain_pickle_gives_the_same_lock() -> None:
    lock = interproc.Lock()
    copy = pickle.loads(pickle.dumps(lock))
    with copy:
        assert lock.locked()
    assert not lock.locked()


# --- holders that die ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["Lock", "RLock"])
def test_lock_of_a_killed_holder_goes_to_the_next_and_says_so(
    context: SharedMemoryContext, children: Children, kind: str
) -> None:
    lock = getattr(context, kind)()
    ours, theirs = context.Pipe()
    victim = children.start(sync_bodies.take_and_wait, lock, theirs)
    assert ours.recv(timeout=PATIENCE_SECONDS) == "taken"
    victim.kill()
    with pytest.warns(AbandonedWarning, match=f"process {victim.pid} was killed"):
        assert lock.acquire(timeout=PATIENCE_SECONDS)
    assert lock.abandoned
    lock.release()
    assert not lock.abandoned
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert lock.acquire()
    lock.release()


def test_waiter_gets_the_lock_of_a_holder_that_is_killed_meanwhile(
    context: SharedMemoryContext, children: Children
) -> None:
    lock = context.Lock()
    ours, theirs = context.Pipe()
    victim = children.start(sync_bodies.take_and_wait, lock, theirs)
    assert ours.recv(timeout=PATIENCE_SECONDS) == "taken"
    with pytest.warns(AbandonedWarning), in_thread(lambda: lock.acquire(timeout=PATIENCE_SECONDS)) as outcome:
        victim.kill()
    assert outcome == [True]
    lock.release()


def test_abandoned_lock_may_raise_until_it_is_recovered(context: SharedMemoryContext, children: Children) -> None:
    lock = context.Lock(on_abandoned="raise")
    ours, theirs = context.Pipe()
    victim = children.start(sync_bodies.take_and_wait, lock, theirs)
    assert ours.recv(timeout=PATIENCE_SECONDS) == "taken"
    victim.kill()
    for _ in range(2):
        with pytest.raises(AbandonedError, match="recover") as caught:
            lock.acquire(timeout=PATIENCE_SECONDS)
        assert caught.value.pid == victim.pid
        assert not lock.locked()
    lock.recover()
    assert not lock.abandoned
    lock.release()
    with lock:
        pass


def test_warning_that_is_an_error_leaves_the_lock_free(context: SharedMemoryContext, children: Children) -> None:
    lock = context.Lock()
    children.start(sync_bodies.take_and_exit_at_once, lock)
    children.join()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(AbandonedWarning):
            lock.acquire(timeout=PATIENCE_SECONDS)
    assert not lock.locked()


@pytest.mark.parametrize("kind", ["Lock", "RLock"])
def test_holder_that_ends_in_an_orderly_way_leaves_it_locked(
    context: SharedMemoryContext, children: Children, kind: str
) -> None:
    lock = getattr(context, kind)()
    children.join(children.start(sync_bodies.take_and_end, lock))
    assert lock.locked()
    assert lock.acquire(timeout=0.05) is False
    assert not lock.abandoned
    if kind == "Lock":
        lock.release()
        with lock:
            pass


def test_permits_of_a_killed_process_come_back_to_a_bounded_semaphore(
    context: SharedMemoryContext, children: Children
) -> None:
    semaphore = context.BoundedSemaphore(1)
    ours, theirs = context.Pipe()
    victim = children.start(sync_bodies.take_and_wait, semaphore, theirs)
    assert ours.recv(timeout=PATIENCE_SECONDS) == "taken"
    assert semaphore.get_value() == 0
    victim.kill()
    assert semaphore.acquire(timeout=PATIENCE_SECONDS)
    semaphore.release()
    with pytest.raises(ValueError, match="too many times"):
        semaphore.release()


def test_waiter_that_is_killed_harms_no_other(context: SharedMemoryContext, children: Children) -> None:
    lock = context.Lock()
    lock.acquire()
    victim = children.start(sync_bodies.take_and_end, lock)
    until(lambda: _sleeps(victim.pid))
    victim.kill()
    victim.join()
    lock.release()
    assert lock.acquire(timeout=PATIENCE_SECONDS)


def _sleeps(pid: int | None) -> bool:
    with open(f"/proc/{pid}/wchan") as file:
        return "futex" in file.read()
