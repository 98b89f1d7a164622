"""Queues that redeliver, and joins that outlive consumers, over every start method."""

import pickle
import signal
import threading
from typing import Any

import pytest

import interproc
from interproc.context import SharedMemoryContext
from interproc.queues import Empty, ShutDown
from tests.conformance import bodies
from tests.contexts import PATIENCE_SECONDS, Children
from tests.waiting_for import until


def die_with(context: SharedMemoryContext, children: Children, queue: Any, count: int) -> None:
    """A process takes so many objects and is killed with them."""
    ours, theirs = context.Pipe()
    victim = children.start(bodies.take_and_say_so, queue, count, theirs)
    assert ours.recv(timeout=PATIENCE_SECONDS) == count
    victim.kill()
    victim.join(PATIENCE_SECONDS)
    assert victim.exitcode == -signal.SIGKILL


def until_redelivered(queue: Any, count: int) -> None:
    """Waits in the queue, for who sleeps there looks for the dead."""
    until(lambda: queue.join(timeout=0.5) or queue.statistics()["redelivered"] == count)


def get(queue: Any) -> Any:
    return queue.get(timeout=PATIENCE_SECONDS)


@pytest.mark.parametrize("kind", ["Queue", "JoinableQueue"])
def test_what_a_killed_consumer_took_comes_again_first_and_marked(
    context: SharedMemoryContext, children: Children, kind: str
) -> None:
    queue = getattr(context, kind)(redeliver=True)
    sent = ["text", lambda: 7, b"x" * 5000, {"number": 4}]
    queue.put_many(sent)
    die_with(context, children, queue, 3)
    until_redelivered(queue, 3)
    received = []
    for earlier in (1, 1, 1, 0):
        received.append(get(queue))
        assert queue.redelivered == earlier
        queue.task_done()
        assert queue.redelivered == 0
    assert [received[0], received[1](), *received[2:]] == ["text", 7, b"x" * 5000, {"number": 4}]
    assert queue.join(timeout=0)


def test_consumer_that_sleeps_is_woken_by_what_comes_again(context: SharedMemoryContext, children: Children) -> None:
    queue, results = context.Queue(redeliver=True), context.Queue()
    queue.put("item")
    ours, theirs = context.Pipe()
    victim = children.start(bodies.take_and_say_so, queue, 1, theirs)
    ours.recv(timeout=PATIENCE_SECONDS)
    children.start(bodies.take, queue, 1, results)
    victim.kill()
    assert get(results) == ["item"]


def test_poison_goes_to_the_dead_letters(context: SharedMemoryContext, children: Children) -> None:
    queue = context.Queue(redeliver=True, max_deliveries=2)
    queue.put_many(["poison", "item"])
    for death in (1, 2):
        die_with(context, children, queue, 1)
        until_redelivered(queue, death)
    assert get(queue) == "item"
    queue.task_done()
    assert queue.join(timeout=PATIENCE_SECONDS)
    assert get(queue.dead_letters) == "poison"
    assert queue.statistics()["buried"] == 1


def test_dead_letters_may_be_a_queue_of_ones_own(context: SharedMemoryContext, children: Children) -> None:
    dead_letters = context.SimpleQueue()
    queue = context.Queue(redeliver=True, max_deliveries=1, dead_letters=dead_letters)
    assert queue.dead_letters is dead_letters
    queue.put("poison")
    die_with(context, children, queue, 1)
    until_redelivered(queue, 1)
    with pytest.raises(Empty):
        queue.get(timeout=0)
    assert dead_letters.get(timeout=0) == "poison"


def test_dead_letters_travel_with_the_queue(context: SharedMemoryContext) -> None:
    queue = context.Queue(redeliver=True, max_deliveries=1)
    copy = pickle.loads(pickle.dumps(queue))
    copy.dead_letters.put("letter")
    assert get(queue.dead_letters) == "letter"


def test_closing_gives_back_what_was_not_acknowledged(context: SharedMemoryContext) -> None:
    queue = context.Queue(redeliver=True)
    queue.put("item")
    copy = pickle.loads(pickle.dumps(queue))
    assert get(copy) == "item"
    copy.close()
    assert get(queue) == "item"
    assert queue.redelivered == 1


def test_each_thread_acknowledges_its_own(context: SharedMemoryContext) -> None:
    queue = context.Queue(redeliver=True)
    queue.put_many(["main", "thread"])
    copy = pickle.loads(pickle.dumps(queue))
    assert get(copy) == "main"

    def work() -> None:
        assert get(copy) == "thread"
        copy.task_done()

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    copy.close()
    assert get(queue) == "main"
    assert queue.empty()


def test_batches_are_acknowledged_one_by_one(context: SharedMemoryContext) -> None:
    queue = context.Queue(redeliver=True)
    queue.put_many(range(100))
    copy = pickle.loads(pickle.dumps(queue))
    taken: list[int] = []
    while len(taken) < 100:
        taken += copy.get_many(100)
    for _ in range(60):
        copy.task_done()
    copy.close()
    assert [get(queue) for _ in range(40)] == list(range(60, 100))


def test_arrays_of_others_cannot_be_changed_by_who_dies(context: SharedMemoryContext, children: Children) -> None:
    numpy = pytest.importorskip("numpy")
    queue = context.Queue(redeliver=True)
    queue.put(numpy.arange(100_000))
    ours, theirs = context.Pipe()
    victim = children.start(bodies.take_array_and_change_it, queue, theirs)
    ours.recv(timeout=PATIENCE_SECONDS)
    victim.kill()
    assert (get(queue) == numpy.arange(100_000)).all()


def test_after_shutdown_consumers_wait_for_what_others_hold(context: SharedMemoryContext) -> None:
    queue = context.Queue(redeliver=True)
    queue.put("item")
    copy = pickle.loads(pickle.dumps(queue))
    assert get(copy) == "item"
    queue.shutdown()
    with pytest.raises(Empty):
        queue.get(timeout=0.01)
    with pytest.raises(ShutDown):
        copy.get(timeout=0.01)
    copy.close()
    assert get(queue) == "item"
    queue.task_done()
    with pytest.raises(ShutDown):
        queue.get(timeout=0.01)


def test_too_large_a_message_names_both_sizes_and_the_remedy(context: SharedMemoryContext) -> None:
    queue = context.Queue(redeliver=True, max_bytes=1 << 20)
    with pytest.raises(ValueError, match=r"the message has 2097152 bytes, .* keeps at most \d+ .* larger max_bytes"):
        queue.put(b"x" * (2 << 20))
    assert queue.empty()


def test_acknowledging_what_was_not_taken_raises(context: SharedMemoryContext) -> None:
    queue = context.Queue(redeliver=True)
    queue.put("item")
    with pytest.raises(ValueError, match="too many times"):
        queue.task_done()
    assert not queue.join(timeout=0)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"max_deliveries": 3}, "max_deliveries=3 needs redeliver=True"),
        ({"redeliver": True, "max_deliveries": -1}, "must not be negative"),
        ({"redeliver": True, "dead_letters": []}, "dead_letters needs max_deliveries"),
    ],
)
def test_options_that_do_not_belong_together(options: dict[str, Any], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        interproc.Queue(**options)


def test_dead_letters_that_are_no_queue() -> None:
    wrong: Any = []
    with pytest.raises(TypeError, match=r"dead_letters must be a queue of interproc, not \[\]"):
        interproc.Queue(redeliver=True, max_deliveries=1, dead_letters=wrong)
