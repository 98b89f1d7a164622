"""PAINS rows 2, 3, 7, 15, 27, 47, 54: locks know their holders, notifiers wait for nobody, counters lose nothing."""

import os
import signal
import threading
from typing import Any

import pytest

import interproc
from interproc.context import SharedMemoryContext
from interproc.errors import AbandonedWarning
from tests.contexts import PATIENCE_SECONDS, Children
from tests.pains import bodies
from tests.waiting_for import until


@pytest.mark.filterwarnings("ignore::interproc.errors.AbandonedWarning")
@pytest.mark.parametrize("kind", ["Lock", "RLock", "BoundedSemaphore", "Condition"])
def test_holder_that_is_killed_holds_up_nobody(context: SharedMemoryContext, children: Children, kind: str) -> None:
    lock = getattr(context, kind)()
    ours, theirs = context.Pipe()
    victim = children.start(bodies.hold, lock, theirs)
    assert ours.recv(timeout=PATIENCE_SECONDS) == "held"
    assert lock.acquire(timeout=0.01) is False
    victim.kill()
    assert lock.acquire(timeout=PATIENCE_SECONDS) is True
    lock.release()


def test_value_and_event_work_after_their_user_was_killed(context: SharedMemoryContext, children: Children) -> None:
    value, event = context.Value("i", 5), context.Event()
    ours, theirs = context.Pipe()
    holder = children.start(bodies.hold, value.get_lock(), theirs)
    waiter = children.start(bodies.wait_for_event, event, theirs)
    assert {ours.recv(timeout=PATIENCE_SECONDS) for _ in range(2)} == {"held", "waiting"}
    for victim in (holder, waiter):
        victim.kill()
        victim.join()
    with pytest.warns(AbandonedWarning, match=str(holder.pid)):
        assert value.value == 5
    value.value += 1
    event.set()
    assert event.is_set()


def test_notify_all_waits_for_no_waiter_that_was_killed(context: SharedMemoryContext, children: Children) -> None:
    condition = context.Condition()
    ours, theirs = context.Pipe()
    victims = [children.start(bodies.wait_for_condition, condition, theirs) for _ in range(2)]
    for _ in victims:
        assert ours.recv(timeout=PATIENCE_SECONDS) == "waiting"
    with condition:  # both have given the lock away: they wait
        pass
    for victim in victims:
        victim.kill()
        victim.join()
    with condition:
        condition.notify_all()
        assert condition.wait(0.01) is False


def test_barrier_breaks_when_a_party_is_killed(context: SharedMemoryContext, children: Children) -> None:
    barrier = context.Barrier(3)
    victim = children.start(bodies.pass_barrier, barrier)
    until(lambda: barrier.n_waiting == 1)
    victim.kill()
    with pytest.raises(threading.BrokenBarrierError):
        barrier.wait(PATIENCE_SECONDS)


def test_additions_in_one_step_lose_no_update(context: SharedMemoryContext, children: Children) -> None:
    value = context.Value("i")
    for _ in range(4):
        children.start(bodies.add, value, 5000)
    children.join()
    assert value.value == 20_000


def test_event_may_be_set_by_a_handler_that_interrupts_set(context: SharedMemoryContext) -> None:
    event = context.Event()
    handled: list[int] = []

    def handle(*_: Any) -> None:
        event.set()
        handled.append(1)

    before = signal.signal(signal.SIGALRM, handle)
    signal.setitimer(signal.ITIMER_REAL, 0.0005, 0.0005)
    try:
        while len(handled) < 200:
            event.set()
            event.clear()
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
    event.set()
    assert event.wait(0)


def test_objects_cost_no_descriptor_and_no_mapping_each(context: SharedMemoryContext) -> None:
    def cost() -> tuple[int, int]:
        with open("/proc/self/maps") as maps:
            return len(os.listdir("/proc/self/fd")), sum("interproc" in line for line in maps)

    kept: list[Any] = [context.Value("i")]
    before = cost()
    kept += [make() for make in (context.Event, context.Condition, context.Lock, context.Semaphore) for _ in range(20)]
    kept += [context.Barrier(3), context.Value("d"), context.Array("i", 10)]
    after = cost()
    assert after[0] - before[0] <= 1  # at most one more shared page of each kind
    assert after[1] - before[1] <= 2


def test_values_of_semaphores_and_bounds_are_exact() -> None:
    semaphore = interproc.BoundedSemaphore(2)
    assert semaphore.get_value() == 2
    with semaphore:
        assert semaphore.get_value() == 1
    with pytest.raises(ValueError, match="too many times"):
        semaphore.release()
