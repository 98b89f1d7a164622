"""What the processes of a storm on locks and their kin do. Imports nothing slow, since fresh interpreters import it."""

import random
import threading
import time
import warnings
from dataclasses import dataclass
from typing import Any

from interproc.errors import AbandonedWarning
from tests.crash.storms.ledger import Ledger

# Words of each process.
DONE, ADD_STARTED, ADDED, GIVE_STARTED, GIVEN, TAKE_STARTED, TAKEN = range(7)
WORDS = 7
# Words that all share: who is inside each lock, and the tokens that the condition is about.
STOPPING, INSIDE_LOCK, INSIDE_RLOCK, INSIDE_CONDITION, TOKENS = range(5)

PERMITS = 2
PARTIES = 3


@dataclass
class Objects:
    """What the processes share."""

    lock: Any
    rlock: Any
    semaphore: Any
    value: Any
    guard: Any
    condition: Any
    event: Any
    barrier: Any

    @classmethod
    def of(cls, context: Any) -> "Objects":
        """One of each."""
        guard = context.RLock()
        return cls(
            lock=context.Lock(),
            rlock=context.RLock(),
            semaphore=context.BoundedSemaphore(PERMITS),
            value=context.Value("q"),
            guard=guard,
            condition=context.Condition(guard),
            event=context.Event(),
            barrier=context.Barrier(PARTIES),
        )


def prepare(place: int) -> random.Random:
    """Deaths are expected here."""
    warnings.simplefilter("ignore", AbandonedWarning)
    return random.Random(place)


def enter(place: int, ledger: Ledger, lock: Any, word: int) -> None:
    """Nobody may be inside, unless the lock says that it was killed there."""
    inside = ledger.shared(word)
    assert inside == 0 or lock.abandoned, f"{inside - 1} is inside as well"
    ledger.set_shared(word, place + 1)


def leave(ledger: Ledger, word: int) -> None:
    """Nobody is inside."""
    ledger.set_shared(word, 0)


def rest(chance: random.Random) -> None:
    """Lets others run, most times."""
    time.sleep(chance.random() * 0.001)


def lock_and_count(place: int, ledger: Ledger, shared: Objects) -> None:
    """Takes both locks, again where it may, and a permit, and adds to the value."""
    chance = prepare(place)
    while not ledger.shared(STOPPING):
        with shared.lock:
            enter(place, ledger, shared.lock, INSIDE_LOCK)
            rest(chance)
            leave(ledger, INSIDE_LOCK)
        with shared.rlock, shared.rlock:
            enter(place, ledger, shared.rlock, INSIDE_RLOCK)
            leave(ledger, INSIDE_RLOCK)
        with shared.semaphore:
            ledger.add(place, ADD_STARTED)
            shared.value.add(1)
            ledger.add(place, ADDED)
        ledger.add(place, DONE)


def give(place: int, ledger: Ledger, shared: Objects) -> None:
    """Makes tokens, and notifies one waiter for each."""
    chance = prepare(place)
    while not ledger.shared(STOPPING):
        with shared.condition:
            enter(place, ledger, shared.guard, INSIDE_CONDITION)
            ledger.add(place, GIVE_STARTED)
            ledger.set_shared(TOKENS, ledger.shared(TOKENS) + 1)
            ledger.add(place, GIVEN)
            shared.condition.notify()
            leave(ledger, INSIDE_CONDITION)
        rest(chance)


def take(place: int, ledger: Ledger, shared: Objects) -> None:
    """Takes tokens, and waits for them without a limit."""
    prepare(place)
    while True:
        with shared.condition:
            shared.condition.wait_for(lambda: ledger.shared(TOKENS) or ledger.shared(STOPPING))
            if ledger.shared(TOKENS) == 0:
                return
            enter(place, ledger, shared.guard, INSIDE_CONDITION)
            ledger.add(place, TAKE_STARTED)
            ledger.set_shared(TOKENS, ledger.shared(TOKENS) - 1)
            ledger.add(place, TAKEN)
            leave(ledger, INSIDE_CONDITION)
        ledger.add(place, DONE)


def set_and_clear(place: int, ledger: Ledger, shared: Objects) -> None:
    """Sets the event, and clears it a little later."""
    chance = prepare(place)
    while not ledger.shared(STOPPING):
        shared.event.set()
        rest(chance)
        shared.event.clear()
        rest(chance)


def wait(place: int, ledger: Ledger, shared: Objects) -> None:
    """Waits for the event without a limit."""
    prepare(place)
    while not ledger.shared(STOPPING):
        assert shared.event.wait()
        ledger.add(place, DONE)


def meet(place: int, ledger: Ledger, shared: Objects) -> None:
    """Meets the others at the barrier without a limit; when it is broken, one mends it."""
    prepare(place)
    while not ledger.shared(STOPPING):
        try:
            shared.barrier.wait()
        except threading.BrokenBarrierError:
            with shared.lock:
                if shared.barrier.broken and not ledger.shared(STOPPING):
                    shared.barrier.reset()
        ledger.add(place, DONE)
