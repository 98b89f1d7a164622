"""Who is attached and alive, putting out who never comes back, and full queues that nobody takes from."""

import os
import pickle
import queue as standard_queue
import signal
from pathlib import Path
from typing import Any

import pytest

import interproc
from interproc.context import SharedMemoryContext
from interproc.participants import Participant, evict
from interproc.process import BaseProcess
from interproc.queues import Full, NoConsumer
from tests.conformance import participant_bodies as bodies
from tests.contexts import PATIENCE_SECONDS, Children
from tests.waiting_for import until

KINDS = ("Queue", "JoinableQueue", "SimpleQueue")


def start_user(
    context: SharedMemoryContext, children: Children, thing: Any, method: str, *args: Any
) -> tuple[BaseProcess, str]:
    """A process that has called the method, and how that ended."""
    ours, theirs = context.Pipe()
    process = children.start(bodies.use_and_stay, thing, method, args, theirs)
    return process, ours.recv(timeout=PATIENCE_SECONDS)


def state_of(pid: int) -> str:
    """The letter of the process in /proc; "X" where it is gone."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0]
    except (FileNotFoundError, ProcessLookupError):
        return "X"


def stop(process: BaseProcess) -> int:
    """Stops it for ever."""
    pid = process.pid
    assert pid is not None
    os.kill(pid, signal.SIGSTOP)
    until(lambda: state_of(pid) == "T")
    return pid


def has_ended(process: BaseProcess) -> bool:
    """Whether it has, reaped or not."""
    return state_of(process.pid or 0) in "ZX"


def find(participants: list[Participant], pid: int | None) -> Participant | None:
    return next((each for each in participants if each.pid == pid), None)


# --- who is attached --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_participants_are_those_that_used_the_queue_and_say_what_they_did(
    context: SharedMemoryContext, children: Children, kind: str
) -> None:
    queue = getattr(context, kind)()
    assert queue.participants() == []
    queue.put("item")
    me = Participant(os.getpid(), is_alive=True, is_consumer=False, is_producer=True)
    assert queue.participants() == [me]
    consumer, _ = start_user(context, children, queue, "get")
    asking, ended = start_user(context, children, queue, "get", False)
    looking, _ = start_user(context, children, queue, "qsize")
    assert ended == "Empty"
    found = queue.participants()
    assert found[0] == me
    assert find(found, consumer.pid) == Participant(consumer.pid or 0, True, True, False)
    assert find(found, asking.pid) == Participant(asking.pid or 0, True, True, False)
    assert find(found, looking.pid) is None
    assert len(found) == 3


def test_participant_that_is_stopped_lives_and_one_that_was_killed_does_not(
    context: SharedMemoryContext, children: Children
) -> None:
    queue = context.Queue()
    process, _ = start_user(context, children, queue, "put", "item")
    pid = stop(process)
    assert find(queue.participants(), pid) == Participant(pid, True, False, True)
    process.kill()
    until(lambda: has_ended(process))
    assert find(queue.participants(), pid) == Participant(pid, False, False, True)
    queue._sweep()
    assert find(queue.participants(), pid) is None


def test_participant_that_closed_the_queue_is_none(context: SharedMemoryContext, children: Children) -> None:
    queue = context.Queue()
    queue.put("item")
    ours, theirs = context.Pipe()
    children.start(bodies.use_and_close, queue, "get", theirs)
    assert ours.recv(timeout=PATIENCE_SECONDS) == "closed"
    assert [each.pid for each in queue.participants()] == [os.getpid()]


def test_process_with_two_objects_is_one_participant(context: SharedMemoryContext) -> None:
    queue = context.Queue()
    copy = pickle.loads(pickle.dumps(queue))
    queue.put("item")
    copy.get(timeout=PATIENCE_SECONDS)
    assert queue.participants() == [Participant(os.getpid(), True, True, True)]


def test_peer_is_who_used_the_other_end(context: SharedMemoryContext, children: Children) -> None:
    ours, theirs = context.Pipe()
    assert ours.peer == []
    process, _ = start_user(context, children, theirs, "send", "hello")
    ours.recv(timeout=PATIENCE_SECONDS)
    assert ours.peer == [Participant(process.pid or 0, True, False, True)]
    assert theirs.peer == [Participant(os.getpid(), True, True, False)]
    ours.send("hello")
    assert theirs.peer == [Participant(os.getpid(), True, True, True)]


def test_peer_of_a_pipe_in_one_direction(context: SharedMemoryContext, children: Children) -> None:
    receiving, sending = context.Pipe(duplex=False)
    sending.send("hello")
    process, _ = start_user(context, children, receiving, "recv")
    assert sending.peer == [Participant(process.pid or 0, True, True, False)]
    assert receiving.peer == [Participant(os.getpid(), True, False, True)]


# --- evict ------------------------------------------------------------------------------------------------------------


def test_evicted_consumer_has_ended_and_what_it_took_failed(context: SharedMemoryContext, children: Children) -> None:
    queue = context.JoinableQueue()
    queue.put("item")
    process, _ = start_user(context, children, queue, "get")
    pid = stop(process)
    assert not queue.join(timeout=0)
    queue.evict(pid)
    assert has_ended(process)
    assert queue.join(timeout=0)
    assert queue.statistics()["failed"] == 1
    assert find(queue.participants(), pid) is None
    process.join(PATIENCE_SECONDS)
    assert process.exitcode == -signal.SIGKILL


def test_what_an_evicted_consumer_took_comes_again_at_once(context: SharedMemoryContext, children: Children) -> None:
    queue = context.Queue(redeliver=True)
    queue.put("item")
    process, _ = start_user(context, children, queue, "get")
    pid = stop(process)
    queue.evict(pid)
    assert queue.get(timeout=0) == "item"
    assert queue.redelivered == 1


def test_memory_of_an_evicted_reader_is_free_at_once(context: SharedMemoryContext, children: Children) -> None:
    numpy = pytest.importorskip("numpy")
    queue = context.SimpleQueue()
    queue.put(numpy.zeros(100_000))
    process, _ = start_user(context, children, queue, "get_many", 1)
    queue.evict(stop(process))
    assert queue.statistics()["blocks_used"] == 0


def test_evicted_peer_is_end_of_file_at_once(context: SharedMemoryContext, children: Children) -> None:
    ours, theirs = context.Pipe()
    process, _ = start_user(context, children, theirs, "send", "hello")
    theirs.close()
    pid = stop(process)
    assert [each.pid for each in ours.peer] == [pid]
    ours.evict(pid)
    assert has_ended(process)
    assert ours.peer == []
    assert ours.recv(timeout=0) == "hello"
    with pytest.raises(EOFError):
        ours.recv(timeout=0)


def test_evicting_one_that_was_killed_already_sweeps_at_once(context: SharedMemoryContext, children: Children) -> None:
    queue = context.JoinableQueue()
    queue.put("item")
    process, _ = start_user(context, children, queue, "get")
    process.kill()
    process.join(PATIENCE_SECONDS)
    queue.evict(process.pid or 0)
    assert queue.join(timeout=0)


def test_evicting_who_does_not_take_part(context: SharedMemoryContext, children: Children) -> None:
    queue = context.Queue()
    other = context.Queue()
    process, _ = start_user(context, children, other, "put", "item")
    pid = process.pid or 0
    with pytest.raises(ProcessLookupError, match=f"process {pid} does not use this queue"):
        queue.evict(pid)
    with pytest.raises(ProcessLookupError, match=f"process {pid} does not use this pipe"):
        context.Pipe()[0].evict(pid)
    assert not has_ended(process)


def test_evicting_oneself_or_no_number(context: SharedMemoryContext) -> None:
    queue = context.Queue()
    queue.put("item")
    with pytest.raises(ValueError, match=rf"evict\({os.getpid()}\): that is this process"):
        queue.evict(os.getpid())
    wrong: Any = "1"
    with pytest.raises(TypeError):
        queue.evict(wrong)


def test_closed_objects_tell_nothing(context: SharedMemoryContext) -> None:
    queue, (ours, _) = context.Queue(), context.Pipe()
    queue.close()
    ours.close()
    with pytest.raises(ValueError, match="Queue is closed"):
        queue.participants()
    with pytest.raises(ValueError, match="Queue is closed"):
        queue.evict(1)
    with pytest.raises(OSError, match="handle is closed"):
        assert ours.peer
    with pytest.raises(OSError, match="handle is closed"):
        ours.evict(1)


@pytest.mark.parametrize(("later", "error"), [([], None), ([(True, False)], PermissionError), ([(False, False)], None)])
def test_process_that_may_be_another_by_now_is_not_hit(
    context: SharedMemoryContext, children: Children, later: list[tuple[bool, bool]], error: type[Exception] | None
) -> None:
    process, _ = start_user(context, children, context.Queue(), "qsize")
    pid = process.pid or 0
    looks = iter([[(pid, True, True, True, True)], [(pid, alive, True, True, sure) for alive, sure in later]])
    swept: list[bool] = []
    if error is None:
        evict("queue", pid, lambda: next(looks), lambda: swept.append(True))
        assert swept == [True]
    else:
        with pytest.raises(error, match="hidden"):
            evict("queue", pid, lambda: next(looks), lambda: swept.append(True))
        assert swept == []
    assert not has_ended(process)


# --- on_no_consumer ---------------------------------------------------------------------------------------------------


PUTS: dict[str, tuple[Any, ...]] = {"put": ("c", True, 0.01), "put_nowait": ("c",), "put_many": ("c", False)}


@pytest.mark.parametrize(("policy", "error"), [("block", Full), ("raise", NoConsumer)])
@pytest.mark.parametrize("kind", ["Queue", "JoinableQueue"])
def test_full_queue_that_nobody_takes_from_blocks_or_raises(
    context: SharedMemoryContext, kind: str, policy: str, error: type[Exception]
) -> None:
    queue = getattr(context, kind)(2, on_no_consumer=policy)
    queue.put_many(["a", "b"])
    for method, args in PUTS.items():
        with pytest.raises(Full) as caught:
            getattr(queue, method)(*args)
        assert type(caught.value) is error
    assert queue.qsize() == 2


@pytest.mark.parametrize("kind", ["Queue", "JoinableQueue"])
def test_full_queue_that_nobody_takes_from_drops_the_oldest(context: SharedMemoryContext, kind: str) -> None:
    queue = getattr(context, kind)(2, on_no_consumer="drop_oldest")
    queue.put_many(["a", "b"])
    queue.put("c")
    queue.put_nowait("d")
    queue.put_many(["e", b"x" * 5000])
    assert queue.statistics()["dropped"] == 4
    assert [queue.get(), queue.get()] == ["e", b"x" * 5000]
    queue.task_done()
    queue.task_done()
    assert queue.join(timeout=0)


def test_no_consumer_says_what_to_do_and_is_a_full_queue(context: SharedMemoryContext) -> None:
    queue = context.Queue(1, on_no_consumer="raise")
    queue.put("item")
    with pytest.raises(
        standard_queue.Full, match=r"no other process that lives has asked it .* on_no_consumer='block'"
    ):
        queue.put("item")
    assert interproc.NoConsumer is NoConsumer


@pytest.mark.parametrize("method", ["get_nowait", "fileno"])
def test_process_that_asked_is_a_consumer_as_long_as_it_lives(
    context: SharedMemoryContext, children: Children, method: str
) -> None:
    queue = context.Queue(1, on_no_consumer="raise")
    process, _ = start_user(context, children, queue, method)
    queue.put("item")
    stop(process)
    with pytest.raises(Full) as caught:
        queue.put_nowait("item")
    assert type(caught.value) is Full
    process.kill()
    process.join(PATIENCE_SECONDS)
    with pytest.raises(NoConsumer):
        queue.put("item")


def test_process_that_closed_or_only_put_is_no_consumer(context: SharedMemoryContext, children: Children) -> None:
    queue = context.Queue(2, on_no_consumer="raise")
    queue.put("item")
    ours, theirs = context.Pipe()
    children.start(bodies.use_and_close, queue, "get", theirs)
    ours.recv(timeout=PATIENCE_SECONDS)
    start_user(context, children, queue, "put", "item")
    queue.put("item")
    with pytest.raises(NoConsumer):
        queue.put("item")


def test_own_process_is_no_consumer(context: SharedMemoryContext) -> None:
    queue = context.Queue(1, on_no_consumer="raise")
    queue.put("item")
    queue.get()
    queue.put("item")
    with pytest.raises(NoConsumer):
        queue.put("item")


def test_blocked_producer_is_told_when_the_last_consumer_is_killed(
    context: SharedMemoryContext, children: Children
) -> None:
    queue = context.Queue(1, on_no_consumer="raise")
    consumer, _ = start_user(context, children, queue, "get_nowait")
    ours, theirs = context.Pipe()
    children.start(bodies.put_until_nobody_takes, queue, theirs)
    until(lambda: queue.statistics()["put_waits"] > 0)
    consumer.kill()
    assert ours.recv(timeout=PATIENCE_SECONDS) == "NoConsumer"


def test_dropping_keeps_the_newest_of_a_process_for_who_comes_later(
    context: SharedMemoryContext, children: Children
) -> None:
    queue = context.JoinableQueue(3, on_no_consumer="drop_oldest")
    producer = children.start(bodies.put_numbers, queue, 100)
    children.join(producer)
    assert [queue.get(timeout=0) for _ in range(3)] == [97, 98, 99]
    assert queue.statistics()["dropped"] == 97
    for _ in range(3):
        queue.task_done()
    assert queue.join(timeout=0)
    assert queue.statistics()["failed"] == 0


def test_policy_travels_with_the_queue(context: SharedMemoryContext) -> None:
    queue = context.Queue(1, on_no_consumer="raise")
    copy = pickle.loads(pickle.dumps(queue))
    copy.put("item")
    with pytest.raises(NoConsumer):
        copy.put("item")


def test_object_for_pieces_needs_a_consumer(context: SharedMemoryContext) -> None:
    queue = context.Queue(on_no_consumer="drop_oldest", max_bytes=1 << 20)
    with pytest.raises(NoConsumer):
        queue.put(b"x" * (4 << 20))
    queue.put("item")
    assert queue.get(timeout=0) == "item"


def test_policy_that_does_not_exist() -> None:
    wrong: Any = "drop"
    with pytest.raises(ValueError, match="on_no_consumer='drop' must be one of block, raise, drop_oldest"):
        interproc.Queue(on_no_consumer=wrong)
