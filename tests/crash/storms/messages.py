"""What the processes of a storm on queues and pipes do. Imports nothing slow, since fresh interpreters import it."""

import random
from queue import Empty
from typing import Any

from tests.crash.storms.ledger import Ledger

# Words of each process.
STARTED, ACCEPTED, RECEIVED, HANDS, END = range(5)
WORDS = 5
# Words that all share.
STOPPING, OVER = range(2)
# How a process of a pipe ended.
AT_END_OF_FILE, AT_BROKEN_PIPE = 1, 2

MOST_MESSAGES = 20_000
SIZES = (20, 20, 20, 20, 500, 5_000, 60_000)
LARGEST = 600_000  # goes through a window: no queue or pipe here takes it in one piece
ONE_IN = 200
BATCH = 4


def payload(number: int, size: int) -> bytes:
    """Bytes that tell whose they are."""
    return number.to_bytes(4, "little") * (size // 4)


def _size(chance: random.Random, largest: int = LARGEST) -> int:
    return largest if chance.randrange(ONE_IN) == 0 else chance.choice(SIZES)


def produce(place: int, ledger: Ledger, queue: Any, largest: int = LARGEST) -> None:
    """Puts messages, one by one or a few at once, and notes before and after which."""
    chance = random.Random(place)
    number = 0
    while number < MOST_MESSAGES - BATCH and not ledger.shared(STOPPING):
        count = BATCH if chance.randrange(8) == 0 else 1
        batch = [(place, n, payload(n, _size(chance, largest))) for n in range(number, number + count)]
        number += count
        ledger.write(place, STARTED, number)
        if count > 1:
            queue.put_many(batch)
        else:
            queue.put(batch[0])
        ledger.write(place, ACCEPTED, number)


def consume(place: int, ledger: Ledger, queue: Any, takes_many: bool) -> None:
    """Takes messages until None comes, and checks that they are whole and in the order of their producer."""
    last: dict[int, int] = {}
    limit = BATCH if takes_many else 1
    while True:
        ledger.write(place, HANDS, limit)
        items = queue.get_many(limit) if takes_many else [queue.get()]
        for item in items:
            if item is None:
                queue.put(None)  # for the next
                return
            producer, number, content = item
            assert number > last.get(producer, -1), f"{number} of {producer} comes after {last[producer]}"
            assert content == payload(number, len(content)), f"{number} of {producer} is damaged"
            last[producer] = number
            ledger.mark(producer, number)
            ledger.add(place, RECEIVED)
        ledger.write(place, HANDS, 0)


def acknowledge(place: int, ledger: Ledger, queue: Any) -> None:
    """Takes messages, checks that they are whole, and acknowledges them, until everything is over and acknowledged."""
    while not (ledger.shared(OVER) and queue.join(timeout=0)):
        try:
            producer, number, content = queue.get(timeout=0.1)
        except Empty:
            continue
        assert content == payload(number, len(content)), f"{number} of {producer} is damaged"
        ledger.mark(producer, number)
        ledger.add(place, RECEIVED)
        queue.task_done()


def send(place: int, ledger: Ledger, connection: Any) -> None:
    """Sends messages until told to stop or until nobody reads."""
    chance = random.Random(place)
    try:
        for number in range(MOST_MESSAGES):
            if ledger.shared(STOPPING):
                break
            ledger.write(place, STARTED, number + 1)
            connection.send((number, payload(number, _size(chance))))
            ledger.write(place, ACCEPTED, number + 1)
    except BrokenPipeError:
        ledger.write(place, END, AT_BROKEN_PIPE)


def receive(place: int, ledger: Ledger, connection: Any, other_end: Any) -> None:
    """Receives messages to the end of file, and checks that they are whole and that none is missing.

    Where it was forked it has the other end too, and would be a sender that lives.
    """
    other_end.close()
    try:
        while True:
            number, content = connection.recv()
            expected = ledger.read(place, RECEIVED)
            assert number == expected, f"{number} comes instead of {expected}"
            assert content == payload(number, len(content)), f"{number} is damaged"
            ledger.add(place, RECEIVED)
    except EOFError:
        ledger.write(place, END, AT_END_OF_FILE)
