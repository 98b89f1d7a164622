"""interproc.connection.wait, selectors and asyncio on descriptors."""

import asyncio
import multiprocessing.connection
import os
import selectors
import socket
import threading
from typing import Any

import pytest

import interproc
from interproc.connection import Pipe, wait
from interproc.context import SharedMemoryContext
from tests.conformance import bodies
from tests.contexts import PATIENCE_SECONDS, Children


def test_all_kinds_of_objects_are_waited_for_together(context: SharedMemoryContext, children: Children) -> None:
    queue, ready_queue, simple = context.Queue(), context.Queue(), context.SimpleQueue()
    ours, theirs = context.Pipe()
    standard, standard_peer = multiprocessing.Pipe()
    left, right = socket.socketpair()
    read_fd, write_fd = os.pipe()
    child = children.start(bodies.hold, theirs)
    assert ours.recv(timeout=PATIENCE_SECONDS) == "held"
    reader = simple._reader
    everything: list[Any] = [queue, ready_queue, simple, ours, standard, left, read_fd, child.sentinel, reader]
    try:
        assert wait(everything, 0) == []
        assert wait(everything, 0.01) == []
        ready_queue.put(1)
        assert wait(everything) == [ready_queue]
        standard_peer.send(1)
        right.send(b"1")
        os.write(write_fd, b"1")
        assert wait(everything, -1) == [ready_queue, standard, left, read_fd]
        ready_queue.get()
        simple.put("x")
        ours.send("end")
        children.join()
        # The fork server tells the exit code a moment before it closes the sentinel's other end.
        assert wait([child.sentinel], PATIENCE_SECONDS) == [child.sentinel]
        assert wait(everything) == [simple, standard, left, read_fd, child.sentinel, reader]
    finally:
        for closable in (standard, standard_peer, left, right):
            closable.close()
        os.close(read_fd)
        os.close(write_fd)


def test_wait_is_woken_by_another_process(context: SharedMemoryContext, children: Children) -> None:
    queue, other = context.Queue(), context.Queue()
    assert wait([queue, other], 0) == []
    children.start(bodies.put_all, other, [1])
    assert wait([queue, other], PATIENCE_SECONDS) == [other]
    assert other.get() == 1
    assert wait([queue, other], 0) == []
    children.join()


def test_wait_sees_that_a_peer_is_gone(context: SharedMemoryContext, children: Children) -> None:
    ours, theirs = context.Pipe()
    child = children.start(bodies.hold, theirs)
    theirs.close()
    assert ours.recv(timeout=PATIENCE_SECONDS) == "held"
    assert wait([ours], 0) == []
    child.kill()
    assert wait([ours], PATIENCE_SECONDS) == [ours]
    with pytest.raises(EOFError):
        ours.recv()


def test_what_a_competitor_took_is_not_ready() -> None:
    queue: interproc.Queue[int] = interproc.Queue()
    assert wait([queue], 0) == []
    queue.put(1)
    assert wait([queue]) == [queue]
    queue.get()
    assert wait([queue], 0.01) == []


def test_shutdown_makes_a_queue_ready() -> None:
    queue: interproc.Queue[int] = interproc.Queue()
    woken: list[object] = []
    thread = threading.Thread(target=lambda: woken.extend(wait([queue], PATIENCE_SECONDS)))
    thread.start()
    queue.shutdown()
    thread.join()
    assert woken == [queue]
    assert wait([queue]) == [queue]


def test_writing_end_is_ready_once_the_reader_is_gone() -> None:
    reader, writer = Pipe(duplex=False)
    assert wait([writer], 0) == []
    reader.close()
    assert wait([writer], PATIENCE_SECONDS) == [writer]


def test_closed_objects_cannot_be_waited_for() -> None:
    queue: interproc.Queue[int] = interproc.Queue()
    queue.close()
    with pytest.raises(ValueError, match="closed"):
        wait([queue], 0)
    one, _other = Pipe()
    one.close()
    with pytest.raises(OSError, match="handle is closed"):
        wait([one], 0)
    with pytest.raises(ValueError, match="cannot be waited for"):
        wait([object()], 0)


def test_nothing_to_wait_for() -> None:
    assert wait([], 0) == []
    assert wait([], 0.01) == []


def test_standard_wait_and_selectors_take_our_objects() -> None:
    queue: interproc.Queue[int] = interproc.Queue()
    one, other = Pipe()
    standard_wait: Any = multiprocessing.connection.wait
    assert standard_wait([queue, one], 0) == []
    other.send(1)
    queue.put(1)
    assert sorted(map(id, standard_wait([queue, one], 0))) == sorted(map(id, [queue, one]))
    with selectors.DefaultSelector() as selector:
        selector.register(queue, selectors.EVENT_READ)
        assert len(selector.select(0)) == 1
        queue.get()
        assert selector.select(0) == []


def test_asyncio_reads_through_add_reader(context: SharedMemoryContext, children: Children) -> None:
    queue = context.Queue()
    ours, theirs = context.Pipe()

    async def collect() -> list[object]:
        loop = asyncio.get_running_loop()
        received: list[object] = []
        complete = asyncio.Event()

        def take(get: Any) -> None:
            received.append(get())
            if len(received) == 6:
                complete.set()

        loop.add_reader(queue.fileno(), take, queue.get_nowait)
        loop.add_reader(ours.fileno(), take, ours.recv)
        children.start(bodies.put_all, queue, [1, 2, 3])
        children.start(bodies.send_all, theirs, [4, 5, 6])
        await asyncio.wait_for(complete.wait(), PATIENCE_SECONDS)
        loop.remove_reader(queue.fileno())
        loop.remove_reader(ours.fileno())
        return received

    assert sorted(asyncio.run(collect())) == [1, 2, 3, 4, 5, 6]  # type: ignore[type-var]
    children.join()
