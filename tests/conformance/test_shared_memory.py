"""The contract of SharedMemory: names, lifetime, and what it has in common with the standard library's."""

import errno
import gc
import os
import pickle
from pathlib import Path
from typing import Any

import pytest

import interproc.shared_memory
from interproc.context import SharedMemoryContext
from interproc.shared_memory import SharedMemory
from tests.conformance import memory_bodies
from tests.contexts import PATIENCE_SECONDS, Children
from tests.footprint import lines_of
from tests.programs import outcome_of, running
from tests.shm_records import SHM, names_of_this_process, recorded_names


def _is_mapped(inode: int) -> bool:
    return any(line.split()[4] == str(inode) for line in lines_of(Path("/proc/self/maps")))


def test_made_memory_has_a_name_a_size_and_zeros() -> None:
    memory = SharedMemory(create=True, size=1000)
    try:
        assert memory.size == len(memory.buf) == 1000
        assert bytes(memory.buf) == bytes(1000)
        assert repr(memory) == f"SharedMemory({memory.name!r}, size=1000)"
        assert (SHM / memory.name).stat().st_size == 1000
        assert (SHM / memory.name).stat().st_mode & 0o777 == 0o600
        memory.buf[3] = 7
        assert SharedMemory(memory.name).buf[3] == 7
    finally:
        memory.unlink()


def test_name_can_be_chosen_and_taken_only_once() -> None:
    name = f"chosen-{os.getpid()}"
    memory = SharedMemory(name, create=True, size=1)
    try:
        assert memory.name == name
        with pytest.raises(FileExistsError, match=f"(?s)attach to it.*{name}"):
            SharedMemory(name, create=True, size=1)
    finally:
        memory.unlink()
    with pytest.raises(FileNotFoundError, match=name):
        SharedMemory(name)
    with pytest.raises(FileNotFoundError, match=name):
        memory.unlink()
    assert name not in recorded_names()


def test_generated_name_that_is_taken_is_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    names = iter(["/psm_taken", "/psm_taken", "/psm_free"])
    monkeypatch.setattr(interproc.shared_memory, "_make_filename", lambda: next(names))
    first, second = (SharedMemory(create=True, size=1) for _ in range(2))
    try:
        assert (first.name, second.name) == ("psm_taken", "psm_free")
    finally:
        first.unlink()
        second.unlink()


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({"create": True, "size": -2}, ValueError),
        ({"create": True, "size": 0}, ValueError),
        ({"create": True}, ValueError),
        ({"create": False}, ValueError),
        ({"name": "x", "size": -1}, ValueError),
        ({"name": "with\0null"}, ValueError),
        ({"name": "a/b", "create": True, "size": 1}, OSError),
        ({"name": "..", "create": True, "size": 1}, OSError),
        ({"name": "", "create": True, "size": 1}, OSError),
        ({"name": ".interproc.1", "create": True, "size": 1}, OSError),
        ({"name": "x" * 300, "create": True, "size": 1}, OSError),
        ({"name": "nothing-of-this-name"}, FileNotFoundError),
        ({"name": 5}, TypeError),
        ({"create": True, "size": 1.5}, TypeError),
    ],
)
def test_bad_arguments_raise_and_leave_nothing(arguments: dict[str, Any], error: type[Exception]) -> None:
    before = names_of_this_process()
    with pytest.raises(error):
        SharedMemory(**arguments)
    assert names_of_this_process() == before


def test_size_is_ignored_when_attaching() -> None:
    memory = SharedMemory(create=True, size=100)
    try:
        assert SharedMemory(memory.name, size=5000).size == 100
    finally:
        memory.unlink()


def test_views_keep_the_memory_and_the_last_one_takes_it_along() -> None:
    memory = SharedMemory(create=True, size=4096)
    name = memory.name
    inode = (SHM / name).stat().st_ino
    memory.buf[:5] = b"alive"
    view, part = memory.buf, memory.buf[1:3]
    memory.unlink()
    memory.close()
    memory.close()
    assert memory.buf is None
    assert (memory.name, memory.size) == (name, 4096)
    del memory
    gc.collect()
    assert bytes(view[:5]) == b"alive"
    del view
    assert bytes(part) == b"li"
    assert _is_mapped(inode)
    del part
    assert not _is_mapped(inode)


def test_memory_survives_the_unlinking_of_its_name() -> None:
    memory = SharedMemory(create=True, size=8)
    other = SharedMemory(memory.name)
    memory.unlink()
    memory.buf[0] = 1
    assert other.buf[0] == 1


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_pickled_memory_is_the_same_memory(protocol: int) -> None:
    memory = SharedMemory(create=True, size=8)
    try:
        pickled = pickle.dumps(memory, protocol)
        copy = pickle.loads(pickled)
        copy.buf[:4] = b"same"
        assert bytes(memory.buf[:4]) == b"same"
    finally:
        memory.unlink()
    with pytest.raises(FileNotFoundError):
        pickle.loads(pickled)


@pytest.mark.parametrize("way", ["object", "name"])
def test_child_writes_into_memory(context: SharedMemoryContext, children: Children, way: str) -> None:
    memory = SharedMemory(create=True, size=8)
    try:
        children.start(memory_bodies.write_into, memory if way == "object" else memory.name, b"child")
        children.join()
        assert bytes(memory.buf[:5]) == b"child"
        SharedMemory(memory.name)  # attaching in the child removed nothing
    finally:
        memory.unlink()


def test_memory_outlives_the_child_that_made_it(context: SharedMemoryContext, children: Children) -> None:
    results = context.Queue()
    children.start(memory_bodies.make_and_end, results, 100_000, b"left")
    children.join()
    memory = SharedMemory(results.get(timeout=PATIENCE_SECONDS))
    assert bytes(memory.buf[:4]) == b"left"
    memory.unlink()


def test_memory_outlives_the_grandchild_and_the_child(context: SharedMemoryContext, children: Children) -> None:
    results = context.Queue()
    children.start(memory_bodies.make_in_grandchild_and_end, context.get_start_method(), results, 10, b"left")
    children.join()
    memory = SharedMemory(results.get(timeout=PATIENCE_SECONDS))
    assert bytes(memory.buf[:4]) == b"left"
    memory.unlink()


FORKED_BY_HAND = """
import os, sys
from interproc.shared_memory import SharedMemory
pid = os.fork()
if pid == 0:
    SharedMemory(sys.argv[1], create=True, size=8)
    os._exit(0)
os.waitpid(pid, 0)
SharedMemory(sys.argv[1]).unlink()
"""


def test_memory_outlives_a_child_that_was_forked_by_hand() -> None:
    ended = outcome_of(FORKED_BY_HAND, f"forked-{os.getpid()}")
    assert (ended.returncode, ended.stderr) == (0, "")


def test_standard_class_attaches_to_ours_and_ours_to_its() -> None:
    code = (
        "from multiprocessing import resource_tracker, shared_memory as s; import sys\n"
        "m = s.SharedMemory(sys.argv[1]); resource_tracker.unregister(m._name, 'shared_memory')\n"
        "m.buf[:5] = b'stdlb'; assert m.size == 77; m.close()\n"
        "n = s.SharedMemory(create=True, size=55); n.buf[:3] = b'its'; print(n.name, flush=True); input(); n.unlink()"
    )
    memory = SharedMemory(create=True, size=77)
    try:
        with running(code, memory.name) as program:
            its = SharedMemory(program.read_line())
            assert bytes(memory.buf[:5]) == b"stdlb"
            assert (its.size, bytes(its.buf[:3])) == (55, b"its")
            program.write_line()
            program.end()
    finally:
        memory.unlink()


def test_empty_file_is_no_memory_yet() -> None:
    file = SHM / f"empty-{os.getpid()}"
    file.touch()
    try:
        with pytest.raises(ValueError, match="has not given it its size yet"):
            SharedMemory(file.name)
    finally:
        file.unlink()


def test_symbolic_link_is_not_followed() -> None:
    link = SHM / f"link-{os.getpid()}"
    link.symlink_to("/etc/hostname")
    try:
        with pytest.raises(OSError, match=rf"\[Errno {errno.ELOOP}\]"):
            SharedMemory(link.name)
    finally:
        link.unlink()


def test_folder_can_be_chosen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("INTERPROC_SHM_FOLDER", str(tmp_path))
    memory = SharedMemory(create=True, size=100)
    assert (tmp_path / memory.name).stat().st_size == 100
    assert SharedMemory(memory.name).size == 100
    memory.unlink()
    assert list(tmp_path.iterdir()) == []
    monkeypatch.setenv("INTERPROC_SHM_FOLDER", str(tmp_path / "nowhere"))
    with pytest.raises(NotADirectoryError, match="INTERPROC_SHM_FOLDER names no folder"):
        SharedMemory(create=True, size=100)


def test_subclass_may_open_with_other_flags() -> None:
    class Optional(SharedMemory):
        _flags = os.O_CREAT | os.O_RDWR

    memory = SharedMemory(create=True, size=100)
    try:
        assert Optional(memory.name).size == 100
    finally:
        memory.unlink()
