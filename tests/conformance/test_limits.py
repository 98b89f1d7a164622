"""Too few descriptors, foreign shared memory, and forks of processes with busy threads."""

import errno
import fcntl
import os
import threading
from typing import Any

import pytest

import interproc
from interproc import _core
from interproc.context import SharedMemoryContext
from interproc.errors import LayoutMismatch
from tests.conformance import bodies
from tests.contexts import PATIENCE_SECONDS, Children

# Where the segment's header holds the layout version; core/layout.hpp freezes it.
_VERSION_OFFSET = 8
_VERSION_BYTES = 4


def test_running_out_of_descriptors_raises_an_error_with_the_remedy(
    context: SharedMemoryContext, children: Children
) -> None:
    ours, theirs = context.Pipe()
    children.start(bodies.run_out_of_descriptors, theirs)
    for _ in ("queues", "pipes"):
        number, text, nothing_is_left = ours.recv(timeout=PATIENCE_SECONDS)
        assert number == errno.EMFILE
        assert "ulimit -n" in text
        assert nothing_is_left
    children.join()


def _copy_with_version(segment: _core.Segment, version: int) -> int:
    """Sealed memory that looks like the segment, but for its layout version."""
    fd = os.memfd_create("copy", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    os.truncate(fd, segment.size_bytes)
    os.pwrite(fd, os.pread(segment.fileno(), 4096, 0), 0)
    os.pwrite(fd, version.to_bytes(_VERSION_BYTES, "little"), _VERSION_OFFSET)
    fcntl.fcntl(fd, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL)
    return fd


def test_segment_of_another_layout_is_refused_with_both_versions_named() -> None:
    queue: interproc.Queue[int] = interproc.Queue()
    fd = _copy_with_version(queue.segment, 4711)
    try:
        with pytest.raises(LayoutMismatch, match=rf"(?s)(4711.*{_core.layout_version})|({_core.layout_version}.*4711)"):
            _core.Segment.attach(fd)
    finally:
        os.close(fd)


@pytest.mark.parametrize("content", [b"", b"x" * 4096])
def test_memory_that_is_no_segment_is_refused(content: bytes) -> None:
    fd = os.memfd_create("nonsense", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    os.write(fd, content)
    fcntl.fcntl(fd, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL)
    try:
        with pytest.raises(OSError, match=r"\w"):
            _core.Segment.attach(fd)
    finally:
        os.close(fd)


def test_segment_with_another_uuid_is_refused() -> None:
    queue: interproc.Queue[int] = interproc.Queue()
    fd = os.dup(queue.segment.fileno())
    try:
        with pytest.raises(OSError, match=r"\w"):
            _core.Segment.attach(fd, bytes(16))
    finally:
        os.close(fd)


def test_queue_is_usable_in_children_of_a_process_with_busy_threads(
    context: SharedMemoryContext, children: Children
) -> None:
    queue, results = context.Queue(), context.Queue()
    stop = threading.Event()

    def keep_busy() -> None:
        while not stop.is_set():
            queue.put({"busy": 1})
            queue.get(timeout=PATIENCE_SECONDS)

    def keep_waiting() -> None:
        while (answer := results.get()) is not None:
            answers.append(answer)

    answers: list[Any] = []
    threads = [threading.Thread(target=keep_busy), threading.Thread(target=keep_waiting)]
    for thread in threads:
        thread.start()
    for _ in range(6):
        children.start(bodies.fork_safe, queue, results)
    children.join()
    stop.set()
    results.put(None)
    for thread in threads:
        thread.join()
    assert answers == ["used"] * 6
