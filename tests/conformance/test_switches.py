"""What concerns the whole process: logging, reducers, the interpreter of children, frozen programs, interrupts."""

import importlib
import logging
import multiprocessing
import multiprocessing.process
import multiprocessing.reduction
import multiprocessing.spawn
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import interproc
import interproc.process
import interproc.util
from interproc.context import SharedMemoryContext
from tests.conformance import bodies
from tests.contexts import PATIENCE_SECONDS, Children
from tests.programs import outcome_of

standard_spawn: Any = multiprocessing.spawn
spawn: Any = importlib.import_module("interproc.spawn")


@pytest.fixture
def quiet_logger() -> Iterator[logging.Logger]:
    """The package's logger, as it was before in the end."""
    logger = interproc.get_logger()
    before = logger.level, list(logger.handlers)
    yield logger
    logger.setLevel(before[0])
    logger.handlers[:] = before[1]


def test_logger_is_one_with_levels_of_its_own(quiet_logger: logging.Logger, capfd: pytest.CaptureFixture[str]) -> None:
    assert interproc.get_logger() is multiprocessing.get_logger() is interproc.util.get_logger()
    assert quiet_logger.name == interproc.util.LOGGER_NAME == "multiprocessing"
    assert (interproc.SUBDEBUG, interproc.SUBWARNING) == (5, 25)
    assert (interproc.util.SUBDEBUG, interproc.util.NOTSET, interproc.util.DEBUG, interproc.util.INFO) == (5, 0, 10, 20)
    assert interproc.log_to_stderr(logging.INFO) is quiet_logger
    interproc.util.info("loud %s", "enough")
    interproc.util.debug("too quiet")
    quiet_logger.setLevel(interproc.SUBDEBUG)
    interproc.util.sub_debug("now heard")
    interproc.util.sub_warning("a warning")
    assert [line.split("] ")[1] for line in capfd.readouterr().err.splitlines()] == [
        "loud enough",
        "now heard",
        "a warning",
    ]


def test_level_of_the_logger_reaches_children(
    context: SharedMemoryContext, children: Children, quiet_logger: logging.Logger
) -> None:
    quiet_logger.setLevel(17)
    ours, theirs = context.Pipe()
    children.start(bodies.tell_log_level, theirs)
    assert ours.recv(timeout=PATIENCE_SECONDS) == 17
    children.join()


def test_reducer_can_be_read_and_replaced(context: SharedMemoryContext) -> None:
    the: Any = context  # typeshed says that it is text
    assert interproc.reducer is multiprocessing.reduction  # type: ignore[comparison-overlap]
    before = the.reducer
    assert before is multiprocessing.reduction

    class Reducer(multiprocessing.reduction.AbstractReducer):
        pass

    replacement = Reducer()
    the.reducer = replacement
    try:
        assert the.reducer is replacement
        queue = context.Queue()
        queue.put({"still": "works"})
        assert queue.get() == {"still": "works"}
    finally:
        the.reducer = before


def test_connections_can_be_pickled_without_being_allowed_to(context: SharedMemoryContext) -> None:
    interproc.allow_connection_pickling()
    context.allow_connection_pickling()


def test_registered_reducers_are_used_on_every_way() -> None:
    class Celsius:
        def __init__(self, degrees: float) -> None:
            self.degrees = degrees

        def __reduce__(self) -> Any:
            raise AssertionError("the registered reducer comes first")

    interproc.reduction.register(Celsius, lambda value: (float, (value.degrees,)))
    try:
        queue, (reader, writer) = interproc.Queue[Any](), interproc.Pipe(duplex=False)
        queue.put([Celsius(20.5)])
        writer.send(Celsius(-3.0))
        assert (queue.get(), reader.recv()) == ([20.5], -3.0)
        pickler: Any = interproc.reduction.ForkingPickler
        assert pickler.loads(pickler.dumps(Celsius(1.0))) == 1.0
    finally:
        extra: dict[type, Any] = multiprocessing.reduction.ForkingPickler._extra_reducers  # type: ignore[attr-defined]
        del extra[Celsius]


def test_executable_of_children_can_be_chosen(tmp_path: Path) -> None:
    before = spawn.get_executable()
    wrapper = tmp_path / "python"
    wrapper.write_text(f'#!/bin/sh\nINTERPROC_TEST_WRAPPED=yes exec {sys.executable} "$@"\n')
    wrapper.chmod(0o755)
    context = interproc.get_context("spawn")
    children = Children(context)
    try:
        interproc.set_executable(str(wrapper))
        assert spawn.get_executable() == standard_spawn.get_executable() == os.fsencode(wrapper)
        ours, theirs = context.Pipe()
        children.start(bodies.tell_variable, "INTERPROC_TEST_WRAPPED", theirs)
        assert ours.recv(timeout=PATIENCE_SECONDS) == "yes"
        children.join()
    finally:
        spawn.set_executable(before)
        children.end()
    assert standard_spawn.get_executable() == before


def test_freeze_support_does_nothing_in_the_main_program() -> None:
    interproc.freeze_support()
    for method in ("fork", "spawn", "forkserver"):
        interproc.get_context(method).freeze_support()


FROZEN = """
import sys
import interproc
def child(conn):
    conn.send("from the child")
if __name__ == "__main__":
    sys.frozen = True
    interproc.freeze_support()
    sys.executable = sys.argv[1]
    interproc.set_executable(sys.executable)
    context = interproc.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=child, args=(theirs,))
    process.start()
    print(ours.recv(timeout=30))
    process.join()
    print(process.exitcode)
"""


def test_freeze_support_runs_the_child_of_a_frozen_program(tmp_path: Path) -> None:
    """A frozen program is its own interpreter, and is started again with arguments that freeze_support understands."""
    program, executable = tmp_path / "program.py", tmp_path / "frozen"
    program.write_text(FROZEN)
    executable.write_text(
        f'#!/bin/sh\nif [ "$1" = --multiprocessing-fork ]; then exec {sys.executable} {program} "$@"; fi\n'
        f'exec {sys.executable} "$@"\n'  # the standard library's tracker
    )
    executable.chmod(0o755)
    ended = outcome_of(
        "import runpy, sys; runpy.run_path(sys.argv.pop(1), run_name='__main__')", str(program), str(executable)
    )
    assert (ended.returncode, ended.stdout.splitlines()) == (0, ["from the child", "0"]), ended.stderr


def test_interrupt_raises_keyboard_interrupt_in_the_process(context: SharedMemoryContext, children: Children) -> None:
    ours, theirs = context.Pipe()
    process = children.start(bodies.wait_for_interrupt, theirs)
    assert ours.recv(timeout=PATIENCE_SECONDS) == "waits"
    process.interrupt()
    assert ours.recv(timeout=PATIENCE_SECONDS) == "KeyboardInterrupt"
    children.join()
    process.interrupt()  # it has ended


def test_interrupt_of_a_process_that_was_not_started_or_is_closed_raises(context: SharedMemoryContext) -> None:
    process = context.Process(target=print)
    with pytest.raises(AssertionError, match="can only interrupt a started process"):
        process.interrupt()
    process.close()
    with pytest.raises(ValueError, match="process object is closed"):
        process.interrupt()


def test_authentication_string_pickles_only_for_a_new_process() -> None:
    key = interproc.current_process().authkey
    assert type(key) is interproc.process.AuthenticationString
    with pytest.raises(TypeError, match="security reasons"):
        interproc.reduction.ForkingPickler.dumps(key)


def test_main_process_has_no_parent_and_children_know_theirs(context: SharedMemoryContext, children: Children) -> None:
    assert interproc.parent_process() is None
    ours, theirs = context.Pipe()
    children.start(bodies.tell_parent, theirs)
    assert ours.recv(timeout=PATIENCE_SECONDS) == os.getpid()
    assert len(interproc.active_children()) == 1
    ours.send("end")
    children.join()
    assert interproc.active_children() == []
