"""Lent arrays between processes: they arrive, and their memory comes back however the lender ends."""

from typing import Any

import numpy as np

import interproc
from interproc.context import SharedMemoryContext
from interproc.errors import Empty
from tests.conformance import lending_bodies
from tests.contexts import PATIENCE_SECONDS, Children
from tests.waiting_for import until


def counted(queue: Any, name: str) -> int:
    count: int = queue.statistics()[name]
    return count


def test_lent_arrays_of_another_process_arrive_without_a_copy(context: SharedMemoryContext, children: Children) -> None:
    queue = context.Queue(4)
    children.start(lending_bodies.lend_and_put, queue, 40, 100_000)
    for expected in range(40):
        number, array = queue.get(timeout=PATIENCE_SECONDS)
        assert number == expected
        assert (array == number).all()
        array += 1
        del array
    children.join()
    assert counted(queue, "lent") == 40
    assert counted(queue, "copied_bytes") < 40 * 1000
    assert counted(queue, "blocks_used") == 0


def test_connections_pass_lent_arrays_too(context: SharedMemoryContext, children: Children) -> None:
    receiver, sender = context.Pipe(duplex=False)
    with receiver:
        with sender:
            children.start(lending_bodies.lend_and_send, sender, 20, 300_000)
        for expected in range(20):
            message = receiver.recv(timeout=PATIENCE_SECONDS)
            assert message["number"] == expected
            assert (message["array"] == expected).all()
        assert receiver.statistics()["receiving"]["lent"] == 20


def test_what_a_killed_lender_put_arrives_and_the_rest_comes_back(
    context: SharedMemoryContext, children: Children
) -> None:
    queue = context.Queue()
    lender = children.start(lending_bodies.borrow_put_and_die, queue, 10)
    lender.join(PATIENCE_SECONDS)
    for number in range(0, 10, 2):
        assert (queue.get(timeout=PATIENCE_SECONDS) == number).all()
    until(lambda: _only_waits(queue) and counted(queue, "blocks_used") == 0)


def _only_waits(queue: Any) -> bool:
    """Sleeping in it looks for the dead."""
    try:
        queue.get(timeout=0.15)
    except Empty:
        return True
    return False


def test_arrays_that_are_lent_when_the_interpreter_ends_come_back(
    context: SharedMemoryContext, children: Children
) -> None:
    queue = context.Queue()
    children.start(lending_bodies.keep_to_the_end, queue, 5)
    assert queue.get(timeout=PATIENCE_SECONDS) == 5
    children.join()
    until(lambda: _only_waits(queue) and counted(queue, "blocks_used") == 0)


def test_a_forked_child_has_a_copy_of_what_the_parent_was_lent() -> None:
    context = interproc.get_context("fork")
    queue = context.Queue()
    array = queue.empty_array(100_000)
    array[:] = 5
    child = context.Process(target=lending_bodies.write_and_put, args=(queue, array))
    child.start()
    assert (queue.get(timeout=PATIENCE_SECONDS) == 6).all()
    assert queue.get(timeout=PATIENCE_SECONDS) == "raised"
    child.join()
    assert child.exitcode == 0
    child.close()
    assert (array == 5).all()
    queue.put(array)
    assert (queue.get() == 5).all()
    assert counted(queue, "lent") == 1


def test_a_started_process_gets_a_copy_of_a_lent_array_among_its_arguments(
    context: SharedMemoryContext, children: Children
) -> None:
    queue = context.Queue()
    array = queue.empty_array(100_000)
    array[:] = 5
    children.start(lending_bodies.write_and_put, queue, array)
    assert (queue.get(timeout=PATIENCE_SECONDS) == 6).all()
    assert (np.asarray(array) == 5).all()
