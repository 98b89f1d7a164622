"""How long named memory lives: with its program, however that ends, and with whoever has it."""

import os
import signal
from pathlib import Path

import pytest

from interproc.context import SharedMemoryContext
from interproc.shared_memory import SharedMemory
from tests.conformance import memory_bodies
from tests.contexts import PATIENCE_SECONDS, START_METHODS, Children
from tests.programs import outcome_of, running
from tests.shm_records import SHM, recorded_names
from tests.waiting_for import until

MAKE = """
import os, sys
from interproc.shared_memory import SharedMemory
memory = SharedMemory(sys.argv[1], create=True, size=8)
memory.buf[0] = 1
"""
KILL_SELF = "os.kill(os.getpid(), 9)"


@pytest.fixture
def name() -> str:
    """A name that no other run of these tests uses."""
    return f"lifetime-{os.getpid()}"


def test_untracked_memory_stays_when_its_program_has_ended() -> None:
    code = (
        "from interproc.shared_memory import SharedMemory\nprint(SharedMemory(create=True, size=8, track=False).name)"
    )
    ended = outcome_of(code)
    assert (ended.returncode, ended.stderr) == (0, "")
    SharedMemory(ended.stdout.strip()).unlink()


@pytest.mark.parametrize("end", ["pass", "os._exit(0)", KILL_SELF])
def test_tracked_memory_goes_with_its_program(end: str, name: str) -> None:
    ended = outcome_of(MAKE + end, name)
    assert ended.stderr == ""
    if end == "pass":
        assert not (SHM / name).exists()
    with pytest.raises(FileNotFoundError):
        SharedMemory(name)
    assert not (SHM / name).exists()
    assert name not in recorded_names()


def test_making_memory_removes_what_ended_programs_left(name: str) -> None:
    outcome_of(MAKE + "[SharedMemory(f'{sys.argv[1]}-{i}', create=True, size=8) for i in range(3)]\n" + KILL_SELF, name)
    ended = outcome_of("from interproc.shared_memory import SharedMemory\nSharedMemory(create=True, size=8)")
    assert (ended.returncode, ended.stderr) == (0, "")
    assert list(SHM.glob(f"{name}*")) == []
    assert [left for left in recorded_names() if left.startswith(name)] == []


def test_name_of_an_ended_program_can_be_used_again(name: str) -> None:
    outcome_of(MAKE + KILL_SELF, name)
    memory = SharedMemory(name, create=True, size=16)
    try:
        assert bytes(memory.buf) == bytes(16)
    finally:
        memory.unlink()


def test_memory_of_an_ended_program_stays_while_somebody_has_it(name: str) -> None:
    with running(MAKE + "print(1, flush=True)\ninput()", name) as program:
        program.read_line()
        memory = SharedMemory(name)
        program.kill()
        again = SharedMemory(name)
        again.buf[0] = 5
        assert memory.buf[0] == 5
    memory.close()
    again.close()
    with pytest.raises(FileNotFoundError):
        SharedMemory(name)


def test_one_process_gets_the_name_when_many_want_that_of_an_ended_program(
    context: SharedMemoryContext, children: Children, name: str
) -> None:
    outcome_of(MAKE + KILL_SELF, name)
    results = context.Queue()
    pipes = [context.Pipe() for _ in range(4)]
    for _, theirs in pipes:
        children.start(memory_bodies.make_if_first, name, theirs, results)
    for ours, _ in pipes:
        ours.send("now")
    (winner,) = [pid for pid in (results.get(timeout=PATIENCE_SECONDS) for _ in pipes) if pid]
    memory = SharedMemory(name)
    assert int.from_bytes(memory.buf[:8], "little") == winner
    for ours, _ in pipes:
        ours.send("end")
    children.join()
    memory.unlink()


PROGRAM_WITH_A_CHILD = """
import os, signal, sys
import interproc
from interproc.shared_memory import SharedMemory
def child(conn):
    memory = SharedMemory(sys.argv[2], create=True, size=8)
    conn.send(os.getpid())
    signal.pause()
if __name__ == "__main__":
    context = interproc.get_context(sys.argv[1])
    ours, theirs = context.Pipe()
    context.Process(target=child, args=(theirs,), daemon=True).start()
    print(ours.recv(), flush=True)
    signal.pause()
"""


@pytest.mark.parametrize("method", START_METHODS)
def test_memory_of_a_child_goes_when_its_whole_program_was_killed(method: str, tmp_path: Path, name: str) -> None:
    file = tmp_path / "program.py"
    file.write_text(PROGRAM_WITH_A_CHILD)
    start = "import runpy, sys; runpy.run_path(sys.argv.pop(1), run_name='__main__')"
    with running(start, str(file), method, name) as program:
        child = int(program.read_line())
        os.kill(child, signal.SIGKILL)
        until(lambda: not Path(f"/proc/{child}/maps").exists() or not Path(f"/proc/{child}/maps").read_text())
        assert SharedMemory(name).size == 8  # the program lives
        program.kill()
    with pytest.raises(FileNotFoundError):
        SharedMemory(name)


DIES_INSIDE = """
import os, signal, sys
from interproc import named_memory, records
from interproc.shared_memory import SharedMemory
def die_after(owner, name):
    original = getattr(owner, name)
    def dying(*arguments):
        original(*arguments)
        os.kill(os.getpid(), signal.SIGKILL)
    setattr(owner, name, dying)
owner, name = sys.argv[1].split(".")
die_after({"named_memory": named_memory, "Records": records.Records, "os": os}[owner], name)
SharedMemory(sys.argv[2], create=True, size=1 << 20).unlink()
"""


@pytest.mark.parametrize("step", ["named_memory._fill", "Records.write", "named_memory._link", "os.unlink"])
def test_process_killed_while_making_or_unlinking_leaves_nothing_for_long(step: str, name: str) -> None:
    ended = outcome_of(DIES_INSIDE, step, name)
    assert ended.returncode == -signal.SIGKILL, ended.stderr
    memory = SharedMemory(name, create=True, size=8)
    memory.unlink()
    outcome_of("from interproc.shared_memory import SharedMemory\nSharedMemory(create=True, size=8).unlink()")
    assert not (SHM / name).exists()
    assert name not in recorded_names()


def test_other_users_records_and_nonsense_count_for_nothing() -> None:
    memory = SharedMemory(create=True, size=8, track=False)
    record = SHM / f".interproc.{(SHM / memory.name).stat().st_ino}"
    try:
        for text in ("nonsense", "1/2:x name", "/ x", "1/ ../../etc/passwd"):
            record.unlink(missing_ok=True)
            record.symlink_to(text)
            assert SharedMemory(memory.name).size == 8
        record.unlink()
        record.write_text("no link")
        assert SharedMemory(memory.name).size == 8
    finally:
        record.unlink()
        memory.unlink()
