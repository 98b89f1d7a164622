"""Deposits are kept until they are taken or withdrawn, however finalizers get in between."""

import gc
import os
import pickle
import threading
import weakref
from collections.abc import Callable

import pytest

from interproc.deposits import Deposits


class Thing:
    """Something to keep, which may do something when it goes."""

    def __init__(self, when_dropped: Callable[[], object] = lambda: None) -> None:
        self._when_dropped = when_dropped

    def __del__(self) -> None:
        self._when_dropped()


def boards() -> int:
    """How many boards this process has."""
    targets = []
    for fd in os.listdir("/proc/self/fd"):
        try:
            targets.append(os.readlink(f"/proc/self/fd/{fd}"))
        except FileNotFoundError:
            continue
    return sum("interproc-deposits" in target for target in targets)


def test_what_was_taken_is_dropped_in_any_order() -> None:
    deposits = Deposits()
    tickets, seen = [], []
    for _ in range(5000):
        thing = Thing()
        seen.append(weakref.ref(thing))
        tickets.append(pickle.loads(pickle.dumps(deposits.leave(thing))))
    del thing
    assert boards() == 2
    for number in (*range(0, 5000, 2), *range(1, 4900, 2)):
        tickets[number].take()
    deposits.forget_taken()
    assert [number for number, ref in enumerate(seen) if ref() is not None] == list(range(4901, 5000, 2))
    assert boards() == 1
    for ticket in tickets:
        ticket.take()  # again, for most of them
    deposits.forget_taken()
    assert boards() == 0
    tickets[0].take()


def test_withdrawn_ones_are_dropped_and_may_still_be_taken() -> None:
    deposits = Deposits()
    one, other = Thing(), Thing()
    tickets = [deposits.leave(thing) for thing in (one, other, one)]
    deposits.withdraw(one)
    gone = weakref.ref(one)
    del one
    assert gone() is None
    tickets[0].take()
    tickets[1].take()
    deposits.forget_taken()
    assert boards() == 0


@pytest.mark.parametrize("within", ["leave", "withdraw", "forget_taken"])
def test_a_finalizer_may_use_them_in_the_middle(within: str) -> None:
    deposits = Deposits()
    inner: list[Thing] = []

    def use_all() -> None:
        deposits.forget_taken()
        inner.append(Thing())
        deposits.leave(inner[-1])
        deposits.withdraw(inner[-1])

    deposits.leave(Thing(use_all)).take()
    last = Thing()
    ticket = deposits.leave(last)
    if within == "withdraw":
        deposits.withdraw(last)
    elif within == "forget_taken":
        deposits.forget_taken()
    ticket.take()
    deposits.forget_taken()
    deposits.forget_taken()
    assert len(inner) == 1
    assert boards() == 0


def test_threads_leave_and_take_at_the_same_time() -> None:
    deposits = Deposits()

    def work() -> None:
        for _ in range(300):
            ticket = deposits.leave(Thing())
            ticket.take()
            gc.collect(0)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    deposits.forget_taken()
    assert boards() == 0


def test_a_ticket_of_a_process_that_has_ended_is_taken_in_vain() -> None:
    deposits = Deposits()
    read_fd, write_fd = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.write(write_fd, pickle.dumps(deposits.leave(Thing())))
        os._exit(0)
    os.waitpid(pid, 0)
    pickle.loads(os.read(read_fd, 10_000)).take()
    os.close(read_fd)
    os.close(write_fd)
