"""Queues and connections travel: as arguments, through queues and pipes, and to pool workers."""

import os
import pickle
import subprocess
import sys
from typing import Any

import pytest

import interproc
from interproc.connection import Pipe
from interproc.context import SharedMemoryContext
from interproc.errors import HandleExpired
from interproc.handles import Handle
from tests.conformance import bodies
from tests.contexts import PATIENCE_SECONDS, Children

KINDS = ("Queue", "JoinableQueue", "SimpleQueue")


@pytest.mark.parametrize("kind", KINDS)
def test_queue_travels_through_a_queue(context: SharedMemoryContext, children: Children, kind: str) -> None:
    handles, done = context.Queue(), context.SimpleQueue()
    children.start(bodies.forward, handles, done)
    queue = getattr(context, kind)()
    handles.put(queue)
    assert done.get(timeout=PATIENCE_SECONDS) == "done"
    assert queue.get(timeout=PATIENCE_SECONDS) == "through a handle"
    children.join()


def test_queue_travels_through_a_pipe(context: SharedMemoryContext, children: Children) -> None:
    ours, theirs = context.Pipe()
    children.start(bodies.echo, theirs)
    queue = context.Queue()
    ours.send({"queue": queue})
    queue.put("content")
    assert ours.recv(timeout=PATIENCE_SECONDS)["queue"].get() == "content"
    ours.send("end")
    children.join()


def test_connection_travels_through_a_queue_and_may_be_closed_at_once(
    context: SharedMemoryContext, children: Children
) -> None:
    handles = context.Queue()
    ours, theirs = context.Pipe()
    handles.put(theirs)
    theirs.close()
    ours.send("hello")
    children.start(bodies.receive_from_handle, handles)
    assert ours.recv(timeout=PATIENCE_SECONDS) == ("got", "hello")
    with pytest.raises(EOFError):
        ours.recv(timeout=PATIENCE_SECONDS)
    children.join()


def test_both_ends_travel_and_nobody_keeps_them(context: SharedMemoryContext, children: Children) -> None:
    handles, done = context.Queue(), context.Queue()
    ours, theirs = context.Pipe()
    handles.put(theirs)
    done.put(ours)
    ours.close()
    theirs.close()
    del ours, theirs
    children.start(bodies.receive_from_handle, handles)
    received = done.get()
    received.send("hello")
    assert received.recv(timeout=PATIENCE_SECONDS) == ("got", "hello")
    received.close()
    children.join()


def test_queues_and_connections_travel_to_pool_workers(context: SharedMemoryContext) -> None:
    queue = context.Queue()
    ours, theirs = context.Pipe()
    with context.Pool(1) as pool:
        task = pool.apply_async(bodies.get_from, (queue,))
        queue.put("for the worker")
        assert task.get(PATIENCE_SECONDS) == "for the worker"
        assert pool.apply_async(bodies.answer, (theirs,)).get(PATIENCE_SECONDS) == "answered"
        assert ours.recv(timeout=PATIENCE_SECONDS) == "from a pool worker"
        pool.close()
        pool.join()


def test_descriptor_travels_and_may_be_closed_at_once(context: SharedMemoryContext, children: Children) -> None:
    ours, theirs = context.Pipe()
    children.start(bodies.write_into_descriptor, theirs)
    read_fd, write_fd = os.pipe()
    interproc.reduction.send_handle(ours, write_fd, None)
    os.close(write_fd)
    assert os.read(read_fd, 100) == b"from the child"
    os.close(read_fd)
    children.join()


def test_one_process_maps_a_segment_once() -> None:
    queue: interproc.Queue[int] = interproc.Queue()
    copies = [pickle.loads(pickle.dumps(queue)) for _ in range(3)]
    assert all(copy.segment is queue.segment for copy in copies)
    copies[0].put(1)
    copies[1].close()
    assert copies[2].get() == 1


def test_unrelated_process_of_the_same_user_opens_a_handle() -> None:
    queue: interproc.Queue[str] = interproc.Queue()
    program = "import pickle, sys; pickle.load(sys.stdin.buffer).put('from a stranger')"
    subprocess.run([sys.executable, "-c", program], input=pickle.dumps(queue), check=True)
    assert queue.get(timeout=PATIENCE_SECONDS) == "from a stranger"


def test_handle_leads_to_the_creator_where_the_sender_has_ended(
    context: SharedMemoryContext, children: Children
) -> None:
    queue, pickles = context.Queue(), context.Queue()
    children.start(_pickle, queue, pickles)
    children.join()
    handle = pickles.get(timeout=PATIENCE_SECONDS)
    program = "import pickle, sys; pickle.load(sys.stdin.buffer).put('found')"
    subprocess.run([sys.executable, "-c", program], input=handle, check=True)
    assert queue.get(timeout=PATIENCE_SECONDS) == "found"


def _pickle(queue: Any, pickles: Any) -> None:
    pickles.put(pickle.dumps(queue))


def test_handle_without_a_holder_has_expired() -> None:
    queue: interproc.Queue[int] = interproc.Queue()
    pickled = pickle.dumps(queue)
    queue.close()
    del queue
    with pytest.raises(HandleExpired, match=f"process {os.getpid()} .*Keep the object alive"):
        pickle.loads(pickled)


def test_descriptor_number_used_anew_is_not_mistaken() -> None:
    read_fd, write_fd = os.pipe()
    found = os.fstat(read_fd)
    handle = Handle(((os.getpid(), write_fd),), found.st_dev, found.st_ino + 1)
    try:
        with pytest.raises(HandleExpired, match="closed it"):
            handle.detach()
    finally:
        os.close(read_fd)
        os.close(write_fd)


def test_connection_comes_back_to_its_own_process() -> None:
    from multiprocessing import resource_sharer

    ours, theirs = Pipe()
    queue: interproc.Queue[Any] = interproc.Queue()
    queue.put(theirs)
    copy = queue.get()
    copy.send("from the copy")
    theirs.send("from the original")
    assert [ours.recv(), ours.recv()] == ["from the copy", "from the original"]
    theirs.close()
    assert not ours.poll()
    copy.close()
    with pytest.raises(EOFError):
        ours.recv(timeout=PATIENCE_SECONDS)
    resource_sharer.stop(timeout=PATIENCE_SECONDS)
