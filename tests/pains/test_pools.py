"""PAINS rows 22, 23, 24 and 28: whatever a task or an initializer ends with is told, once, and the pool goes on."""

import os
import re
import signal
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

import interproc
from interproc.context import SharedMemoryContext
from interproc.pool import Pool, RemoteError, ThreadPool
from tests.conformance import manager_bodies as bodies
from tests.contexts import PATIENCE_SECONDS, START_METHODS
from tests.programs import running


@pytest.fixture(params=[*START_METHODS, "threads"])
def make(request: pytest.FixtureRequest) -> Callable[..., Any]:
    """Makes a pool of processes or of threads."""
    threads = request.param == "threads"
    return ThreadPool if threads else partial(Pool, context=interproc.get_context(request.param))


def test_exception_that_cannot_be_made_anew_arrives_as_its_text(context: SharedMemoryContext) -> None:
    with Pool(2, context=context) as pool:
        for call in (pool.apply_async, lambda task: pool.map_async(lambda _: task(), [1, 2])):
            with pytest.raises(RemoteError, match="of 1 and 2") as raised:
                call(bodies.raise_unrebuildable).get(PATIENCE_SECONDS)
            assert raised.value.kind.endswith("manager_bodies.UnrebuildableError")
            assert "in raise_unrebuildable" in str(raised.value)
            assert "__reduce__" in str(raised.value)
        assert pool.apply_async(bodies.double, (4,)).get(PATIENCE_SECONDS) == 8


def test_exception_that_cannot_be_pickled_arrives_as_its_text(context: SharedMemoryContext) -> None:
    def fail() -> None:
        error = ValueError("with something attached")
        error.attached = bodies.Unsendable()  # type: ignore[attr-defined]
        raise error

    with Pool(1, context=context) as pool:
        with pytest.raises(RemoteError, match="ValueError: with something attached") as raised:
            pool.apply_async(fail).get(PATIENCE_SECONDS)
        assert "cannot be pickled" in str(raised.value)
        assert pool.apply_async(bodies.double, (4,)).get(PATIENCE_SECONDS) == 8


@pytest.mark.parametrize(
    ("task", "kind", "arguments"),
    [(bodies.raise_interrupt, KeyboardInterrupt, ()), (bodies.leave_with_three, SystemExit, (3,))],
)
def test_every_way_to_end_a_task_reaches_the_caller(
    make: Callable[..., Any], task: Callable[[], None], kind: type[BaseException], arguments: tuple[int, ...]
) -> None:
    with make(1) as pool:
        with pytest.raises(kind) as raised:
            pool.apply_async(task).get(PATIENCE_SECONDS)
        assert raised.value.args == arguments
        with pytest.raises(kind):
            pool.map_async(lambda _: task(), [1, 2]).get(PATIENCE_SECONDS)
        assert pool.apply_async(bodies.double, (4,)).get(PATIENCE_SECONDS) == 8


def test_failing_initializer_raises_in_the_parent_and_is_not_repeated(make: Callable[..., Any]) -> None:
    queue = interproc.Queue[int]()
    with make(2, bodies.note_and_raise, (queue,)) as pool:
        for _ in range(3):
            with pytest.raises(ValueError, match="the initializer failed") as raised:
                pool.map_async(bodies.double, range(4)).get(PATIENCE_SECONDS)
            assert raised.value.__notes__[0] == "raised by the initializer of a pool's worker"
        assert queue.qsize() <= 2
    pool.join()


def test_initializer_that_exits_raises_in_the_parent(context: SharedMemoryContext) -> None:
    with Pool(1, bodies.leave_with_three, context=context) as pool, pytest.raises(SystemExit):
        pool.apply_async(bodies.double, (4,)).get(PATIENCE_SECONDS)


def test_ctrl_c_interrupts_a_running_task_only(context: SharedMemoryContext) -> None:
    with Pool(1, context=context) as pool:
        pid = pool.apply_async(bodies.pid_of_worker).get(PATIENCE_SECONDS)
        for _ in range(3):
            os.kill(pid, signal.SIGINT)
            assert pool.apply_async(bodies.pid_of_worker).get(PATIENCE_SECONDS) == pid
        with pytest.raises(KeyboardInterrupt):
            pool.apply_async(bodies.interrupt_self).get(PATIENCE_SECONDS)
        assert pool.apply_async(bodies.pid_of_worker).get(PATIENCE_SECONDS) == pid


PROGRAM = """
import os, time, interproc
from interproc.pool import Pool

def work(number):
    os.write(1, b"works\\n")  # in one piece, whatever the other worker writes meanwhile
    time.sleep(60)

if __name__ == "__main__":
    with Pool(2, context=interproc.get_context("fork")) as pool:
        pool.map(work, range(2), chunksize=1)
"""


def test_ctrl_c_prints_one_traceback() -> None:
    with running("import os; os.setsid()" + PROGRAM) as program:
        assert [program.read_line(), program.read_line()] == ["works", "works"]
        os.killpg(program.process.pid, signal.SIGINT)
        _, errors = program.process.communicate(timeout=PATIENCE_SECONDS)
    assert len(re.findall("Traceback", errors)) == 1
    assert errors.strip().endswith("KeyboardInterrupt")
