"""The contract of Condition, Event and Barrier, over every start method."""

import multiprocessing
import signal
import threading
from functools import partial
from typing import Any

import pytest

import interproc
from interproc.context import SharedMemoryContext
from tests.binding.helpers import Interruption, in_thread, interrupt, signal_once
from tests.conformance import sync_bodies
from tests.contexts import PATIENCE_SECONDS, Children


def acquire_all(semaphore: Any, count: int) -> None:
    for _ in range(count):
        assert semaphore.acquire(timeout=PATIENCE_SECONDS)


# --- Condition -------------------------------------------------------------------------------------------------------


def test_notify_wakes_exactly_as_many_as_it_says(context: SharedMemoryContext, children: Children) -> None:
    condition, ready, results = context.Condition(), context.Semaphore(0), context.Queue()
    for _ in range(4):
        children.start(sync_bodies.wait_for_notice, condition, ready, results)
    acquire_all(ready, 4)
    for count, woken in ((1, 1), (2, 3)):
        with condition:
            condition.notify(count)
        taken = [results.get(timeout=PATIENCE_SECONDS) for _ in range(count)]
        assert all(notified for _, notified in taken)
        with condition:
            assert results.empty(), woken
    with condition:
        condition.notify_all()
    results.get(timeout=PATIENCE_SECONDS)
    children.join()


def test_the_longest_waiting_is_notified_first(context: SharedMemoryContext, children: Children) -> None:
    condition, ready, results = context.Condition(), context.Semaphore(0), context.Queue()
    for number in range(3):
        children.start(sync_bodies.wait_in_order, condition, number, ready, results)
        acquire_all(ready, 1)
    for number in range(3):
        with condition:
            condition.notify()
        assert results.get(timeout=PATIENCE_SECONDS) == number
    children.join()


def test_killed_waiters_are_passed_over(context: SharedMemoryContext, children: Children) -> None:
    condition, ready, results = context.Condition(), context.Semaphore(0), context.Queue()
    victims = [children.start(sync_bodies.wait_for_notice, condition, ready, results) for _ in range(2)]
    acquire_all(ready, 2)
    with condition:  # both sleep, or are about to, with their place in line
        pass
    survivor = children.start(sync_bodies.wait_for_notice, condition, ready, results)
    acquire_all(ready, 1)
    for victim in victims:
        victim.kill()
        victim.join()
    with condition:
        condition.notify()
    assert results.get(timeout=PATIENCE_SECONDS) == (survivor.pid, True)
    children.join(survivor)


def test_wait_needs_the_lock_and_gives_it_away_however_deep() -> None:
    condition = interproc.Condition()
    for call in (condition.wait, condition.notify, condition.notify_all, partial(condition.wait_for, lambda: False)):
        with pytest.raises(AssertionError):
            call()
    with condition, condition:
        with in_thread(lambda: condition.acquire(timeout=PATIENCE_SECONDS) and condition.release()):
            assert condition.wait(0.1) is False
        assert condition._lock._count() == 2


def test_waiting_for_a_predicate() -> None:
    condition = interproc.Condition(interproc.Lock())
    state = []

    def change() -> None:
        with condition:
            state.append(1)
            condition.notify()

    with condition:
        assert condition.wait_for(lambda: state, timeout=0.01) == []
        assert condition.wait_for(lambda: state, timeout=-1) == []
        with in_thread(change):
            assert condition.wait_for(lambda: state, timeout=PATIENCE_SECONDS) == [1]


def test_interrupted_waiter_passes_its_notice_on() -> None:
    condition = interproc.Condition()
    with condition, signal_once(condition._has_waiters, interrupt), pytest.raises(Interruption):
        condition.wait()
    assert not condition._has_waiters()
    with condition:
        assert condition._lock._is_mine()


def test_condition_on_a_lock_of_multiprocessing() -> None:
    condition = interproc.Condition(multiprocessing.Lock())
    with pytest.raises(AssertionError):
        condition.notify()
    with condition:
        condition.notify()
        assert condition.wait(0.01) is False
    with pytest.raises(TypeError, match="must be a lock"):
        interproc.Condition("lock")


# --- Event -----------------------------------------------------------------------------------------------------------


def test_event_wakes_everybody(context: SharedMemoryContext, children: Children) -> None:
    event, ready, results = context.Event(), context.Semaphore(0), context.Queue()
    for _ in range(3):
        children.start(sync_bodies.wait_for_flag, event, ready, results)
    acquire_all(ready, 3)
    assert not event.is_set()
    event.set()
    assert [results.get(timeout=PATIENCE_SECONDS) for _ in range(3)] == [True] * 3
    children.join()
    assert event.wait(0)
    event.clear()
    assert event.wait(0.01) is False


def test_flag_that_is_cleared_at_once_still_wakes() -> None:
    event = interproc.Event()
    started = threading.Event()

    def wait() -> bool:
        started.set()
        return event.wait(PATIENCE_SECONDS)

    with in_thread(wait) as outcome:
        started.wait()
        while not outcome:
            event.set()
            event.clear()
    assert outcome == [True]


def test_event_may_be_set_in_a_signal_handler() -> None:
    event = interproc.Event()
    before = signal.signal(signal.SIGUSR1, lambda *_: event.set())
    try:
        for _ in range(200):
            event.clear()
            signal.raise_signal(signal.SIGUSR1)
            assert event.is_set()
        event.clear()
        with in_thread(lambda: signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGUSR1)):
            assert event.wait(PATIENCE_SECONDS)
    finally:
        signal.signal(signal.SIGUSR1, before)


def test_waiter_of_an_event_that_is_killed_costs_nobody_anything(
    context: SharedMemoryContext, children: Children
) -> None:
    event, ready, results = context.Event(), context.Semaphore(0), context.Queue()
    victim = children.start(sync_bodies.wait_for_flag, event, ready, results)
    acquire_all(ready, 1)
    victim.kill()
    victim.join()
    event.set()
    assert event.is_set()


# --- Barrier ---------------------------------------------------------------------------------------------------------


def test_rounds_of_a_barrier(context: SharedMemoryContext, children: Children) -> None:
    actions, results = context.Queue(), context.Queue()
    barrier = context.Barrier(3, partial(sync_bodies.put_one, actions, "acted"))
    for _ in range(3):
        children.start(sync_bodies.pass_barrier, barrier, 20, results)
    taken = [results.get(timeout=PATIENCE_SECONDS) for _ in range(3)]
    children.join()
    assert [sorted(numbers) for numbers in zip(*taken, strict=True)] == [[0, 1, 2]] * 20
    assert actions.qsize() == 20
    assert (barrier.parties, barrier.n_waiting, barrier.broken) == (3, 0, False)


def test_barrier_breaks_for_all_and_can_be_reset() -> None:
    barrier = interproc.Barrier(2)
    with pytest.raises(threading.BrokenBarrierError):
        barrier.wait(0.01)
    assert barrier.broken
    with pytest.raises(threading.BrokenBarrierError):
        barrier.wait()
    barrier.reset()
    assert not barrier.broken
    with in_thread(barrier.wait) as outcome:
        ours = barrier.wait(PATIENCE_SECONDS)
    assert {ours, *outcome} == {0, 1}
    barrier.abort()
    with pytest.raises(threading.BrokenBarrierError):
        barrier.wait()


def test_action_that_raises_breaks_the_barrier() -> None:
    def fail() -> None:
        raise ArithmeticError

    barrier = interproc.Barrier(1, fail)
    with pytest.raises(ArithmeticError):
        barrier.wait()
    assert barrier.broken


def test_reset_breaks_those_who_wait() -> None:
    barrier = interproc.Barrier(2)

    def reset() -> None:
        while barrier.n_waiting == 0:
            pass
        barrier.reset()

    with in_thread(reset), pytest.raises(threading.BrokenBarrierError):
        barrier.wait(PATIENCE_SECONDS)
    assert not barrier.broken


def test_party_that_is_interrupted_has_not_come() -> None:
    barrier = interproc.Barrier(2)
    with signal_once(lambda: barrier.n_waiting == 1, interrupt), pytest.raises(Interruption):
        barrier.wait()
    assert barrier.n_waiting == 0


@pytest.mark.parametrize("parties", [0, -1])
def test_barrier_needs_a_party(parties: int) -> None:
    with pytest.raises(ValueError, match="parties"):
        interproc.Barrier(parties)


def test_party_killed_while_it_waits_breaks_the_barrier(context: SharedMemoryContext, children: Children) -> None:
    barrier = context.Barrier(3)
    victim = children.start(sync_bodies.wait_at_barrier, barrier)
    with in_thread(barrier.wait) as outcome:
        while barrier.n_waiting < 2:
            pass
        victim.kill()
    assert isinstance(outcome[0], threading.BrokenBarrierError)


def test_party_killed_between_rounds_breaks_the_barrier(context: SharedMemoryContext, children: Children) -> None:
    barrier = context.Barrier(2)
    victim = children.start(sync_bodies.pass_barrier_once_and_die, barrier)
    barrier.wait(PATIENCE_SECONDS)
    victim.join()
    with pytest.raises(threading.BrokenBarrierError):
        barrier.wait(PATIENCE_SECONDS)


def test_party_that_ended_in_an_orderly_way_is_not_missed(context: SharedMemoryContext, children: Children) -> None:
    barrier = context.Barrier(2)
    for _ in range(3):
        party = children.start(sync_bodies.pass_barrier_once, barrier)
        barrier.wait(PATIENCE_SECONDS)
        children.join(party)
    assert not barrier.broken
