"""The contract of JoinableQueue, over every start method."""

import threading

from interproc.context import SharedMemoryContext
from tests.conformance import bodies
from tests.contexts import PATIENCE_SECONDS, Children


def test_join_returns_once_all_tasks_are_done(context: SharedMemoryContext, children: Children) -> None:
    queue = context.JoinableQueue()
    queue.put_many(range(200))
    assert not queue.join(timeout=0)
    for _ in range(2):
        children.start(bodies.work, queue)
    assert queue.join(timeout=PATIENCE_SECONDS)
    assert queue.empty()
    queue.shutdown()
    children.join()


def test_join_waits_for_the_task_in_hands(context: SharedMemoryContext) -> None:
    queue = context.JoinableQueue()
    queue.put("task")
    joined = threading.Event()

    def join() -> None:
        queue.join()
        joined.set()

    thread = threading.Thread(target=join)
    thread.start()
    queue.get()
    assert queue.empty()
    assert not queue.join(timeout=0.05)
    assert not joined.is_set()
    queue.task_done()
    assert joined.wait(PATIENCE_SECONDS)
    thread.join()
