"""PAINS rows 17, 36 to 40 and 47: named memory that is there at once, survives being looked at, and goes in the end."""

import gc
import os
import sys
from pathlib import Path
from typing import Any

import numpy
import pytest

from interproc.context import SharedMemoryContext
from interproc.shared_memory import ShareableList, SharedMemory
from tests.contexts import Children
from tests.pains import bodies
from tests.programs import outcome_of, own_mounts

SHM = Path("/dev/shm")
in_own_mounts = pytest.mark.skipif(own_mounts() is None, reason="this user may not have mounts of its own")


def _outcome_in_mounts(setup: str, code: str) -> tuple[int, str, str]:
    """Runs code where a shell command has changed the mounts."""
    ended = outcome_of(code, command=(*(own_mounts() or ()), "sh", "-c", f'{setup} && exec "$@"', "sh"))
    return ended.returncode, ended.stdout, ended.stderr


def test_row_17_shareable_list_keeps_bytes_and_text_exactly() -> None:
    values: list[Any] = [b"ab\0\0", "x\0", 1, "0\U00010000\U00010000", b"\0\1\0", "", b""]
    items = ShareableList(values)
    try:
        assert list(items) == list(ShareableList(name=items.shm.name)) == values
        items[0], items[1] = b"\0", "\U00010000"
        assert (items[0], items[1]) == (b"\0", "\U00010000")
    finally:
        items.shm.unlink()


def test_row_36_attaching_destroys_nothing(context: SharedMemoryContext, children: Children) -> None:
    memory = SharedMemory(create=True, size=64)
    try:
        for _ in range(2):
            children.start(bodies.attach_and_close, memory.name)
        children.join()
        assert (SHM / memory.name).exists()
    finally:
        memory.unlink()  # which is the first


@pytest.mark.parametrize("track", ["True", "False"])
def test_row_36_attaching_in_another_program_destroys_nothing(track: str) -> None:
    memory = SharedMemory(create=True, size=64)
    try:
        ended = outcome_of(
            "from interproc.shared_memory import SharedMemory; import sys\n"
            f"SharedMemory(sys.argv[1], track={track}).close()",
            memory.name,
        )
        assert (ended.returncode, ended.stderr) == (0, "")
        assert SharedMemory(memory.name).size == 64
    finally:
        memory.unlink()


def test_row_37_array_outlives_the_object_that_its_memory_came_from() -> None:
    def make() -> "numpy.ndarray[tuple[int], numpy.dtype[numpy.float64]]":
        memory = SharedMemory(create=True, size=8 * 1000)
        array = numpy.ndarray((1000,), buffer=memory.buf)
        array[:] = 1.5
        memory.unlink()
        return array

    array = make()
    gc.collect()
    assert array.sum() == 1500


def test_row_38_closing_while_a_view_lives_is_quiet() -> None:
    ended = outcome_of(
        "from interproc.shared_memory import SharedMemory\n"
        "a = SharedMemory(create=True, size=64); view = a.buf[:8]; a.unlink(); a.close(); view[0] = 1\n"
        "b = SharedMemory(create=True, size=64); keeps = b.buf; b.unlink(); del b\n"
    )
    assert (ended.returncode, ended.stderr) == (0, "")


TOUCHES_EVERY_PAGE = """
from interproc.shared_memory import SharedMemory
small = SharedMemory(create=True, size=1 << 20)
try:
    memory = SharedMemory(create=True, size=64 << 20)
except OSError as error:
    print(error.errno, error.strerror)
small.buf[::4096] = bytes(256)
small.unlink()
import os
print(os.listdir("/dev/shm"))
"""


@in_own_mounts
def test_row_39_too_little_memory_is_an_error_at_once_with_the_remedy() -> None:
    code, output, errors = _outcome_in_mounts("mount -t tmpfs -o size=16m none /dev/shm", TOUCHES_EVERY_PAGE)
    assert (code, errors) == (0, "")
    error, listing = output.splitlines()
    assert error.startswith("28 no room for 67108864 bytes of shared memory: 15728640 of 16777216 bytes are free.")
    for remedy in ("docker run --shm-size", "Kubernetes", "INTERPROC_SHM_FOLDER", "mount -o remount"):
        assert remedy in error
    assert listing == "[]"


FULL_OF_ORPHANS = """
import os, subprocess, sys
from interproc.shared_memory import SharedMemory
make = "from interproc.shared_memory import SharedMemory; m = SharedMemory(create=True, size=12 << 20); import os; "
SharedMemory(create=True, size=1).unlink()  # so that the next one does not look for orphans by itself
subprocess.run([sys.executable, "-c", make + "os.kill(os.getpid(), 9)"])
assert len(os.listdir("/dev/shm")) == 2
SharedMemory(create=True, size=12 << 20).unlink()
print(os.listdir("/dev/shm"))
"""


@in_own_mounts
def test_row_39_what_ended_programs_left_makes_room() -> None:
    outcome = _outcome_in_mounts("mount -t tmpfs -o size=16m none /dev/shm", FULL_OF_ORPHANS)
    assert outcome == (0, "[]\n", "")


WORKS_WITHOUT = """
import os
assert not os.path.exists("/dev/shm")
import interproc
from interproc.shared_memory import SharedMemory, ShareableList
def child(name, lock, queue, items):
    with lock:
        SharedMemory(name).buf[:5] = b"child"
        items[0] = "child"
        queue.put("done")
memory, items = SharedMemory(create=True, size=100), ShareableList(["parent"])
lock, queue = interproc.Lock(), interproc.Queue()
process = interproc.get_context("fork").Process(target=child, args=(memory.name, lock, queue, items))
process.start()
print(queue.get(timeout=30), bytes(memory.buf[:5]), items[0])
process.join()
memory.unlink()
items.shm.unlink()
"""
HIDE_SHM = (
    "mkdir {0}/dev && mount -t tmpfs none {0}/dev && touch {0}/dev/null {0}/dev/urandom"
    " && mount --bind /dev/null {0}/dev/null && mount --bind /dev/urandom {0}/dev/urandom && mount --rbind {0}/dev /dev"
)


@in_own_mounts
def test_row_40_works_without_the_usual_folder(tmp_path: Path) -> None:
    outcome = _outcome_in_mounts(HIDE_SHM.format(tmp_path), WORKS_WITHOUT)
    assert outcome == (0, "done b'child' child\n", "")


def test_row_47_memory_costs_one_descriptor_at_most_and_none_once_it_is_closed() -> None:
    before = os.listdir("/proc/self/fd")
    memories = [SharedMemory(create=True, size=10) for _ in range(8)]
    memories += [SharedMemory(memory.name) for memory in memories]
    descriptors = len(os.listdir("/proc/self/fd")) - len(before)
    assert descriptors == (0 if sys.version_info >= (3, 13) else len(memories))
    for memory in memories[:8]:
        memory.unlink()
    for memory in memories:
        memory.close()
    assert os.listdir("/proc/self/fd") == before
