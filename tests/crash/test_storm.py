"""Storms: random deaths and stops while everybody works. Nothing accepted is lost, nothing comes twice, nobody hangs.

A short time each; `make storm` runs them for minutes. A storm prints its seed; INTERPROC_STORM_SEED and
INTERPROC_STORM_SECONDS repeat it.
"""

import gc
import os
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from queue import Empty
from typing import Any

import pytest

from interproc.context import SharedMemoryContext
from interproc.errors import AbandonedWarning
from tests.contexts import PATIENCE_SECONDS
from tests.crash.storms import messages, objects
from tests.crash.storms.ledger import Ledger
from tests.crash.storms.storm import SECONDS, Storm, Worker, storm
from tests.waiting_for import until

pytestmark = pytest.mark.timeout(SECONDS + 5 * PATIENCE_SECONDS)

PLACES = 512 + int(SECONDS * 64)
SMALL_BYTES = 256 * 1024
# What may stay in memory that lives as long as the process: pages that all locks and values share.
SPARE_BYTES = 4 << 20


def pause_seconds(context: SharedMemoryContext) -> float:
    """Between two blows: about as long as a process takes to start."""
    return 0.02 if context.get_start_method() == "fork" else 0.1


def memory_bytes() -> int:
    """What the shared memory that this process has open takes of the machine's."""
    found: dict[int, int] = {}
    for name in os.listdir("/proc/self/fd"):
        try:
            if os.readlink(f"/proc/self/fd/{name}").startswith("/memfd:interproc"):
                status = os.stat(f"/proc/self/fd/{name}")
                found[status.st_ino] = status.st_blocks * 512
        except FileNotFoundError:  # the one that listed the folder
            continue
    return sum(found.values())


@pytest.fixture
def nothing_stays_in_memory() -> Iterator[None]:
    """Compares what the shared memory takes before and after."""
    before = memory_bytes()
    yield
    gc.collect()
    assert memory_bytes() - before <= SPARE_BYTES


@pytest.fixture
def ledger(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Ledger]:
    """An empty ledger, with as many words for each process as the test names."""
    words, marks = request.param
    one = Ledger(tmp_path / "ledger", PLACES, words, marks)
    yield one
    one.close()


def settle(queue: Any) -> None:
    """Waits until nothing in the queue is a dead process's any more."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    left: list[int] = []
    while left != [1, 0, 0]:
        assert time.monotonic() < deadline, f"participants, blocks and items do not go: {left}"
        with pytest.raises(Empty):
            queue.get(timeout=0.15)  # long enough for a look at the dead
        left = [queue.statistics()[name] for name in ("participants", "blocks_used", "items")]


@pytest.mark.usefixtures("nothing_stays_in_memory")
@pytest.mark.parametrize("ledger", [(messages.WORDS, messages.MOST_MESSAGES)], indirect=True)
@pytest.mark.parametrize("kind", ["Queue", "SimpleQueue"])
def test_queue_loses_nothing_and_doubles_nothing(context: SharedMemoryContext, ledger: Ledger, kind: str) -> None:
    queue: Any = (
        context.Queue(64, max_bytes=SMALL_BYTES) if kind == "Queue" else context.SimpleQueue(max_bytes=SMALL_BYTES)
    )
    with storm(context, pause_seconds(context), lambda: ledger.total(messages.RECEIVED, PLACES)) as one:
        starters = {
            "producer": lambda: one.start("producer", messages.produce, ledger, queue),
            "consumer": lambda: one.start("consumer", messages.consume, ledger, queue, one.places % 2 == 0),
        }
        for role in ("producer", "producer", "producer", "consumer", "consumer"):
            starters[role]()
        one.rage(lambda worker: starters[worker.role]())
        ledger.set_shared(messages.STOPPING, 1)
        one.calm("producer")
        queue.put(None)
        one.calm()
        assert queue.get(timeout=PATIENCE_SECONDS) is None
        settle(queue)
        check_queue(ledger, one)


def check_queue(ledger: Ledger, one: Storm) -> None:
    """Compares what was accepted with what arrived."""
    missing = 0
    for place in range(one.places):
        accepted = ledger.read(place, messages.ACCEPTED)
        started = ledger.read(place, messages.STARTED)
        marks = ledger.marks(place, messages.MOST_MESSAGES)
        assert max(marks) <= 1, f"a message of {place} came twice: {one}"
        assert not any(marks[started:]), f"{place} never put a message that came: {one}"
        missing += marks[:accepted].count(0)
    hands = sum(ledger.read(place, messages.HANDS) for place in one.killed.get("consumer", []))
    assert missing <= hands, f"{missing} messages are lost, the dead held {hands} at most: {one}"


@pytest.mark.usefixtures("nothing_stays_in_memory")
@pytest.mark.parametrize("ledger", [(messages.WORDS, messages.MOST_MESSAGES)], indirect=True)
def test_queue_that_redelivers_loses_nothing_at_all(context: SharedMemoryContext, ledger: Ledger) -> None:
    queue: Any = context.Queue(64, max_bytes=SMALL_BYTES, redeliver=True)
    with storm(context, pause_seconds(context), lambda: ledger.total(messages.RECEIVED, PLACES)) as one:
        starters = {
            "producer": lambda: one.start("producer", messages.produce, ledger, queue, messages.SIZES[-1]),
            "consumer": lambda: one.start("consumer", messages.acknowledge, ledger, queue),
        }
        for role in ("producer", "producer", "consumer", "consumer", "consumer"):
            starters[role]()
        one.rage(lambda worker: starters[worker.role]())
        ledger.set_shared(messages.STOPPING, 1)
        one.calm("producer")
        ledger.set_shared(messages.OVER, 1)
        one.calm()
        settle(queue)
        assert queue.join(timeout=0)
        again = 0
        for place in range(one.places):
            marks = ledger.marks(place, messages.MOST_MESSAGES)
            assert 0 not in marks[: ledger.read(place, messages.ACCEPTED)], f"a message of {place} is lost: {one}"
            assert not any(marks[ledger.read(place, messages.STARTED) :]), f"{place} never put what came: {one}"
            again += sum(mark - 1 for mark in marks if mark > 1)
        assert again <= len(one.killed.get("consumer", [])), f"{again} came again without a death: {one}"


@pytest.mark.usefixtures("nothing_stays_in_memory")
@pytest.mark.parametrize("ledger", [(messages.WORDS, 0)], indirect=True)
def test_pipe_ends_exactly_where_its_sender_did(context: SharedMemoryContext, ledger: Ledger) -> None:
    pairs: dict[int, int] = {}
    with storm(context, pause_seconds(context), lambda: ledger.total(messages.RECEIVED, PLACES)) as one:

        def start_pair(over: Worker | None = None) -> None:
            if over is not None and any(worker.place in (pairs[over.place], over.place) for worker in one.workers):
                return  # the other one has to notice first
            reader, writer = context.Pipe(duplex=one.places % 4 == 0)
            receiver = one.start("receiver", messages.receive, ledger, reader, writer)
            reader.close()
            sender = one.start("sender", messages.send, ledger, writer)
            writer.close()
            pairs[sender.place], pairs[receiver.place] = receiver.place, sender.place

        for _ in range(3):
            start_pair()
        one.rage(start_pair)
        ledger.set_shared(messages.STOPPING, 1)
        one.calm()
        check_pipes(ledger, one, pairs)


def check_pipes(ledger: Ledger, one: Storm, pairs: dict[int, int]) -> None:
    """Each receiver that lived got all that its sender's calls accepted, and then the end of file."""
    killed = {place for places in one.killed.values() for place in places}
    for receiver in range(0, one.places, 2):
        sender = pairs[receiver]
        started, accepted = (ledger.read(sender, word) for word in (messages.STARTED, messages.ACCEPTED))
        received = ledger.read(receiver, messages.RECEIVED)
        assert received <= started, f"{receiver}: {one}"
        if receiver not in killed:
            assert ledger.read(receiver, messages.END) == messages.AT_END_OF_FILE
            assert accepted <= received, f"{receiver} got {received} of {accepted} messages: {one}"
        elif sender not in killed and not ledger.read(sender, messages.END):
            assert ledger.shared(messages.STOPPING) or accepted == messages.MOST_MESSAGES


@pytest.mark.usefixtures("nothing_stays_in_memory")
@pytest.mark.parametrize("ledger", [(objects.WORDS, 0)], indirect=True)
@pytest.mark.parametrize("what", ["locks", "condition", "event", "barrier"])
def test_objects_keep_their_promises(context: SharedMemoryContext, ledger: Ledger, what: str) -> None:
    shared = objects.Objects.of(context)
    bodies = {
        "locks": [objects.lock_and_count] * 3,
        "condition": [objects.give, objects.give, objects.take, objects.take, objects.take],
        "event": [objects.set_and_clear, objects.wait, objects.wait, objects.wait],
        "barrier": [objects.meet] * objects.PARTIES,
    }[what]
    by_name = {body.__name__: body for body in bodies}
    with storm(context, pause_seconds(context), lambda: ledger.total(objects.DONE, PLACES)) as one:
        for body in bodies:
            one.start(body.__name__, body, ledger, shared)
        one.rage(lambda worker: one.start(worker.role, by_name[worker.role], ledger, shared))
        ledger.set_shared(objects.STOPPING, 1)
        one.calm("set_and_clear")
        shared.event.set()
        shared.barrier.abort()
        if what == "condition":
            one.calm("give")
            until(lambda: ledger.shared(objects.TOKENS) == 0)  # by those who wait for them
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", AbandonedWarning)
                with shared.condition:
                    shared.condition.notify_all()
        one.calm()
        check_objects(ledger, one, shared)


def check_objects(ledger: Ledger, one: Storm, shared: objects.Objects) -> None:
    """What was counted fits, and everything can be had."""

    def total(word: int) -> int:
        return ledger.total(word, one.places)

    assert total(objects.ADDED) <= shared.value.value <= total(objects.ADD_STARTED), one
    tokens = ledger.shared(objects.TOKENS)
    assert total(objects.GIVEN) - total(objects.TAKE_STARTED) <= tokens, one
    assert tokens <= total(objects.GIVE_STARTED) - total(objects.TAKEN), one
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", AbandonedWarning)
        for lock in (shared.lock, shared.rlock, shared.guard, *[shared.semaphore] * objects.PERMITS):
            assert lock.acquire(timeout=PATIENCE_SECONDS), one
    assert not shared.semaphore.acquire(block=False)
    for _ in range(objects.PERMITS):
        shared.semaphore.release()
    assert shared.semaphore.get_value() == objects.PERMITS
    for lock in (shared.lock, shared.rlock, shared.guard):
        lock.release()
        assert lock.acquire(timeout=PATIENCE_SECONDS)
        assert not lock.abandoned
        lock.release()
