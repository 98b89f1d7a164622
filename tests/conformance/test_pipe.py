"""The contract of Pipe and Connection, over every start method."""

import os
import signal
import threading

import pytest

from interproc.context import SharedMemoryContext
from tests.conformance import bodies
from tests.contexts import PATIENCE_SECONDS, Children


def test_duplex_pipe_answers_requests(context: SharedMemoryContext, children: Children) -> None:
    ours, theirs = context.Pipe()
    children.start(bodies.echo, theirs)
    for message in [0, "text", b"bytes", None, {"a": [1, 2.5]}, "x" * 3_000_000]:
        ours.send(message)
        assert ours.recv(timeout=PATIENCE_SECONDS) == message
    ours.send("end")
    children.join()


@pytest.mark.parametrize("size", [0, 1, 200, 70_000, 20 << 20])
def test_bytes_of_every_size_go_through(context: SharedMemoryContext, children: Children, size: int) -> None:
    ours, theirs = context.Pipe()
    children.start(bodies.echo_bytes, theirs)
    message = os.urandom(1000) * (size // 1000 + 1)
    ours.send_bytes(message, 0, size)
    assert ours.recv_bytes(timeout=PATIENCE_SECONDS) == message[:size]
    ours.send_bytes(b"end")
    children.join()


def test_receiver_gets_all_that_was_sent_and_then_end_of_file(context: SharedMemoryContext, children: Children) -> None:
    reader, writer = context.Pipe(duplex=False)
    children.start(bodies.send_all, writer, [1, 2, 3])
    writer.close()
    assert [reader.recv(timeout=PATIENCE_SECONDS) for _ in range(3)] == [1, 2, 3]
    with pytest.raises(EOFError):
        reader.recv(timeout=PATIENCE_SECONDS)
    assert reader.poll()
    children.join()


def test_killed_peer_is_end_of_file_for_the_receiver_and_a_broken_pipe_for_the_sender(
    context: SharedMemoryContext, children: Children
) -> None:
    ours, theirs = context.Pipe()
    child = children.start(bodies.hold, theirs)
    theirs.close()
    assert ours.recv(timeout=PATIENCE_SECONDS) == "held"
    child.kill()
    with pytest.raises(EOFError):
        ours.recv(timeout=PATIENCE_SECONDS)
    with pytest.raises(BrokenPipeError):
        ours.send("nobody there")


def test_flooding_sender_is_held_back_until_it_is_read(context: SharedMemoryContext, children: Children) -> None:
    count = 20_000
    reader, writer = context.Pipe(duplex=False)
    children.start(bodies.send_all, writer, list(range(count)))
    writer.close()
    received: list[int] = []
    while len(received) < count:
        received += reader.recv_many(1000, timeout=PATIENCE_SECONDS)
    assert received == list(range(count))
    children.join()


def test_sender_blocked_on_a_full_pipe_gets_a_broken_pipe_when_the_receiver_goes(context: SharedMemoryContext) -> None:
    reader, writer = context.Pipe(duplex=False)
    outcome: list[BaseException] = []

    def flood() -> None:
        try:
            while True:
                writer.send("x")
        except BrokenPipeError as error:
            outcome.append(error)

    thread = threading.Thread(target=flood)
    thread.start()
    for _ in range(100):
        reader.recv(timeout=PATIENCE_SECONDS)
    reader.close()
    thread.join(PATIENCE_SECONDS)
    assert len(outcome) == 1


def test_stopped_peer_does_not_hold_up_a_receive_beyond_its_timeout(
    context: SharedMemoryContext, children: Children
) -> None:
    ours, theirs = context.Pipe()
    child = children.start(bodies.echo, theirs)
    ours.send(1)
    assert ours.recv(timeout=PATIENCE_SECONDS) == 1
    assert child.pid is not None
    os.kill(child.pid, signal.SIGSTOP)
    ours.send(2)
    with pytest.raises(TimeoutError):
        ours.recv(timeout=0.05)
    os.kill(child.pid, signal.SIGCONT)
    assert ours.recv(timeout=PATIENCE_SECONDS) == 2
    ours.send("end")
    children.join()


def test_both_ends_may_go_to_one_child(context: SharedMemoryContext, children: Children) -> None:
    ours, theirs = context.Pipe()
    report, reply = context.Pipe()
    children.start(_loop_back, ours, theirs, reply)
    assert report.recv(timeout=PATIENCE_SECONDS) == ["there", "and back"]
    children.join()


def _loop_back(one: object, other: object, reply: object) -> None:
    one.send("there")  # type: ignore[attr-defined]
    there = other.recv()  # type: ignore[attr-defined]
    other.send("and back")  # type: ignore[attr-defined]
    reply.send([there, one.recv()])  # type: ignore[attr-defined]
