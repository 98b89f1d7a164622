"""What processes can be started with, over every start method."""

import functools
import os
import signal
import subprocess
import sys
import threading
from typing import Any

import pytest

import interproc
from interproc.context import SharedMemoryContext
from interproc.errors import UnsendableError
from tests.conformance import bodies
from tests.contexts import PATIENCE_SECONDS, START_METHODS, Children


def test_lambda_and_closure_run_in_a_child(context: SharedMemoryContext, children: Children) -> None:
    results = context.Queue()
    factor = 7
    children.start(lambda value: results.put(value * factor), 6)
    assert results.get(timeout=PATIENCE_SECONDS) == 42

    def twice(value: int) -> int:
        return 2 * value

    children.start(lambda call: results.put(call(4)), twice)
    assert results.get(timeout=PATIENCE_SECONDS) == 8
    children.join()


def test_bound_methods_partials_and_local_classes_run_in_a_child(
    context: SharedMemoryContext, children: Children
) -> None:
    results = context.Queue()

    class Worker:
        def __init__(self, number: int) -> None:
            self.number = number

        def work(self) -> None:
            results.put(self.number)

    children.start(Worker(1).work)
    assert results.get(timeout=PATIENCE_SECONDS) == 1
    children.start(functools.partial(bodies.put_all, results, [2]))
    assert results.get(timeout=PATIENCE_SECONDS) == 2
    children.join()


def test_subclass_with_run_and_attributes(context: Any) -> None:
    results = context.Queue()

    class Worker(context.Process):  # type: ignore[misc]
        def __init__(self, number: int) -> None:
            super().__init__(name="worker")
            self.number = number
            self.results = results
            self.transform: Any = lambda value: value + 1

        def run(self) -> None:
            self.results.put((self.name, self.transform(self.number)))

    process = Worker(1)
    process.start()
    assert results.get(timeout=PATIENCE_SECONDS) == ("worker", 2)
    process.join()
    assert process.exitcode == 0


def test_target_may_be_a_method_of_the_process_itself(context: Any) -> None:
    results = context.Queue()

    class Worker(context.Process):  # type: ignore[misc]
        def __init__(self) -> None:
            super().__init__(target=self.work)

        def work(self) -> None:
            results.put("worked")

    process = Worker()
    process.start()
    assert results.get(timeout=PATIENCE_SECONDS) == "worked"
    process.join()


@pytest.mark.parametrize("start_method", ["spawn", "forkserver"])
def test_argument_that_cannot_be_sent_raises_from_start_and_is_named(start_method: str) -> None:
    context: Any = interproc.get_context(start_method)
    process = context.Process(target=print, args=(1, 2, {"cb": threading.Lock()}))
    with pytest.raises(UnsendableError, match=r"args\[2\]\['cb'\] cannot be sent") as caught:
        process.start()
    assert caught.value.path == "args[2]['cb']"
    assert process.pid is None
    process = context.Process(target=print, kwargs={"end": threading.Lock()})
    with pytest.raises(TypeError, match=r"kwargs\['end'\]"):
        process.start()


def test_standard_descriptors_and_connections_go_along_with_a_lambda(context: Any) -> None:
    import multiprocessing

    standard, peer = multiprocessing.Pipe()
    queue = context.Queue()
    process = context.Process(target=lambda conn, q: conn.send(q.get()), args=(peer, queue))
    process.start()
    queue.put("both worlds")
    assert standard.recv() == "both worlds"
    process.join()
    standard.close()
    peer.close()


def test_standard_process_takes_our_objects(context: Any) -> None:
    import multiprocessing

    standard: Any = multiprocessing.get_context(context.get_start_method())
    ours, theirs = context.Pipe()
    process = standard.Process(target=bodies.echo, args=(theirs,))
    process.start()
    ours.send("hello")
    assert ours.recv(timeout=PATIENCE_SECONDS) == "hello"
    ours.send("end")
    process.join()
    assert process.exitcode == 0


def test_child_has_the_start_method_it_was_started_with(context: Any, children: Children) -> None:
    results = context.Queue()
    children.start(bodies.start_method_of_child, results)
    assert results.get(timeout=PATIENCE_SECONDS) == context.get_start_method()
    children.join()


def test_exitcode_and_sentinel(context: SharedMemoryContext, children: Children) -> None:
    ours, theirs = context.Pipe()
    process = children.start(bodies.sleep_for_ever, theirs)
    assert ours.recv(timeout=PATIENCE_SECONDS) == process.pid
    assert process.is_alive()
    process.terminate()
    process.join(PATIENCE_SECONDS)
    assert process.exitcode == -signal.SIGTERM


def test_daemon_ends_with_its_killed_parent(context: SharedMemoryContext, children: Children) -> None:
    ours, theirs = context.Pipe()
    parent = children.start(bodies.start_daemon_and_wait, context.get_start_method(), theirs)
    theirs.close()
    daemon_pid = ours.recv(timeout=PATIENCE_SECONDS)
    assert isinstance(daemon_pid, int)
    parent.kill()
    with pytest.raises(EOFError):
        ours.recv(timeout=PATIENCE_SECONDS)


PROGRAM = """
import interproc as multiprocessing
def twice(value):
    return 2 * value
class Point:
    def __init__(self, x): self.x = x
    def __eq__(self, other): return type(self) is type(other) and self.x == other.x
def work(tasks, results):
    for function, value in tasks:
        results.put((Point(1), function(value)))
if __name__ == "__main__":
    CONTEXT
    tasks, results = context.Queue(), context.Queue()
    tasks.put((twice, 21))
    tasks.put((lambda value: value + 1, 1))
    tasks.shutdown()
    process = context.Process(target=work, args=(tasks, results))
    process.start()
    process.join()
    assert process.exitcode == 0, process.exitcode
    assert list(results.get_many(2)) == [(Point(1), 42), (Point(1), 2)]
    print("fine")
"""


@pytest.mark.parametrize("start_method", START_METHODS)
@pytest.mark.parametrize("way", ["file", "-c", "stdin"])
@pytest.mark.parametrize(
    "choice",
    [
        'context = multiprocessing.get_context("METHOD")',
        'context = multiprocessing; multiprocessing.set_start_method("METHOD")',
    ],
)
def test_functions_of_a_program_work_however_it_was_given(
    start_method: str, way: str, choice: str, tmp_path: Any
) -> None:
    program = PROGRAM.replace("CONTEXT", choice.replace("METHOD", start_method))
    command = [sys.executable]
    if way == "-c":
        command += ["-c", program]
    elif way == "file":
        path = tmp_path / "program.py"
        path.write_text(program)
        command.append(str(path))
    ran = subprocess.run(
        command, input=program if way == "stdin" else None, capture_output=True, text=True, timeout=PATIENCE_SECONDS
    )
    assert (ran.stdout, ran.stderr, ran.returncode) == ("fine\n", "", 0)


def test_failing_child_ends_with_exit_code_one(context: SharedMemoryContext, children: Children) -> None:
    process = children.start(bodies.raise_in_child)
    process.join(PATIENCE_SECONDS)
    assert process.exitcode == 1


def test_queue_made_before_a_raw_fork_works_in_both() -> None:
    queue: interproc.Queue[str] = interproc.Queue()
    answers: interproc.Queue[str] = interproc.Queue()
    queue.put("before")
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            answers.put(queue.get() + " and after")
            status = 0
        finally:
            os._exit(status)
    assert answers.get(timeout=PATIENCE_SECONDS) == "before and after"
    assert os.waitpid(pid, 0)[1] == 0
