"""Holdings: the locks of a manager whose clients end while they wait for them."""

import threading
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import pytest

from interproc.managing.holdings import Holdings, Peer
from tests import waiting_for
from tests.contexts import PATIENCE_SECONDS


def call(holdings: Holdings, peer: Peer, lock: Any, name: str) -> Any:
    return holdings.call(peer, "lock", lock, name, (), {})


@pytest.mark.parametrize("make", [threading.Lock, threading.Semaphore, threading.BoundedSemaphore])
def test_what_is_acquired_for_a_peer_that_ended_meanwhile_goes_back(make: Any) -> None:
    holdings, holder, waiter, lock = Holdings(), Peer(1, False), Peer(2, False), make()
    assert call(holdings, holder, lock, "acquire") == (True, None)
    with ThreadPoolExecutor(1) as executor:
        outcome: Future[Any] = executor.submit(call, holdings, waiter, lock, "acquire")
        waiting_for.until(outcome.running)
        holdings.forget(waiter, True, lambda _: lock)
        call(holdings, holder, lock, "release")
        assert outcome.result(PATIENCE_SECONDS) == (False, None)
    assert lock.acquire(False)


def test_lock_that_another_peer_released_is_nobodys() -> None:
    holdings, holder, other, lock = Holdings(), Peer(1, False), Peer(2, False), threading.Lock()
    call(holdings, holder, lock, "acquire")
    call(holdings, other, lock, "release")
    call(holdings, other, lock, "acquire")
    holdings.forget(holder, True, lambda _: lock)
    assert lock.locked()
    holdings.forget(other, True, lambda _: lock)
    assert not lock.locked()
    assert call(holdings, Peer(3, False), lock, "acquire") == (True, 2)


def test_release_that_fails_leaves_the_holder() -> None:
    holdings, holder, semaphore = Holdings(), Peer(1, False), threading.BoundedSemaphore(2)
    call(holdings, holder, semaphore, "acquire")
    with pytest.raises(ValueError, match="released too many times"):
        holdings.call(holder, "lock", semaphore, "release", (5,), {})
    holdings.forget(holder, True, lambda _: semaphore)
    assert semaphore.acquire(False)
    assert semaphore.acquire(False)
    assert not semaphore.acquire(False)


def test_permits_of_a_plain_semaphore_stay_taken() -> None:
    holdings, holder, semaphore = Holdings(), Peer(1, False), threading.Semaphore(1)
    call(holdings, holder, semaphore, "acquire")
    holdings.forget(holder, True, lambda _: semaphore)
    assert not semaphore.acquire(False)


def test_other_methods_are_not_its_business() -> None:
    assert call(Holdings(), Peer(1, False), threading.Lock(), "locked") is None
    assert call(Holdings(), Peer(1, False), threading.Event(), "set") is None
