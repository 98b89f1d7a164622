"""What is pickled in place of a segment.

A process that is being started inherits the descriptor, as multiprocessing arranges it. At any other time a Handle is
pickled: it says which processes hold the descriptor, and the receiver opens it anew under /proc. That works for every
process of the same user, any number of times, as long as one of the holders lives and keeps the object.
"""

from __future__ import annotations

import copyreg
import multiprocessing.context
import os
from collections.abc import Callable
from multiprocessing import reduction

from interproc import _core
from interproc.errors import HandleExpired
from interproc.state import state

TYPE_CHECKING = False  # without importing typing: see ARCHITECTURE.md on import time
if TYPE_CHECKING:
    from typing import Any, Protocol

    Holder = tuple[int, int]  # a process that holds a descriptor, and its number there

    class Source(Protocol):
        """Something that can travel and gives a descriptor where it arrives."""

        def detach(self) -> int: ...


class Handle:
    """Where to find a descriptor that other processes hold.

    Attributes:
        holders: The processes to ask, best first.
        device: With `inode`, the identity of the open file, so that a descriptor number used anew is not mistaken.
        inode: See `device`.
    """

    def __init__(self, holders: tuple[Holder, ...], device: int, inode: int) -> None:
        self.holders = holders
        self.device = device
        self.inode = inode

    @classmethod
    def of(cls, fd: int, *others: Holder) -> Handle:
        """Names a descriptor of this process; `others` are asked where this process has let go of it."""
        found = os.fstat(fd)
        return cls(tuple(dict.fromkeys(((os.getpid(), fd), *others))), found.st_dev, found.st_ino)

    def detach(self) -> int:
        """Opens the descriptor anew, for this process.

        Raises:
            HandleExpired: No holder has it any more, or this process may not look.
        """
        reasons = []
        for pid, fd in self.holders:
            path = f"/proc/{pid}/fd/{fd}"
            try:
                if self._is_named_by(os.stat(path)):
                    return self._open(path)
                reasons.append(f"process {pid} closed it")
            except FileNotFoundError:
                reasons.append(f"process {pid} has ended or closed it")
            except PermissionError:
                reasons.append(f"process {pid} is another user's or hides its descriptors")
        raise HandleExpired(
            f"the handle leads nowhere: {', '.join(reasons)}. Keep the object alive in the process that sends it until"
            " the receiver has it"
        )

    def _open(self, path: str) -> int:
        fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)
        if self._is_named_by(os.fstat(fd)):
            return fd
        os.close(fd)
        raise FileNotFoundError(path)

    def _is_named_by(self, found: os.stat_result) -> bool:
        return (found.st_dev, found.st_ino) == (self.device, self.inode)


def is_spawning() -> bool:
    """Whether this thread is pickling what a new process starts with."""
    return multiprocessing.context.get_spawning_popen() is not None


def fetch(source: Source) -> int:
    """Returns the descriptor that a source leads to; it is the caller's, and closed on exec.

    Raises:
        HandleExpired: The process that offered it has ended.
    """
    try:
        fd = source.detach()
    except (ConnectionError, FileNotFoundError, EOFError, multiprocessing.AuthenticationError) as error:
        raise HandleExpired(
            f"the process that sent this handle has ended or is not of this program: {error!r}"
        ) from error
    os.set_inheritable(fd, False)
    return fd


def open_segment(uuid: bytes, source: Source) -> _core.Segment:
    """Maps the segment that a source leads to, or returns the mapping that this process has already."""
    with state.lock:
        known = state.segments.get(uuid)
    if known is not None and isinstance(source, Handle):
        return known
    fd = fetch(source)
    if known is not None:
        if fd != known.fileno():  # a started process inherits each descriptor once, and may meet it several times
            os.close(fd)
        return known
    try:
        segment = _core.Segment.attach(fd, uuid)
    except BaseException:
        os.close(fd)
        raise
    return state.remember(segment)


def reduce_segment(segment: _core.Segment) -> tuple[Callable[..., _core.Segment], tuple[Any, ...]]:
    """Reduces a segment to a handle, or to an inherited descriptor while a process is being started."""
    source = reduction.DupFd(segment.fileno()) if is_spawning() else Handle.of(segment.fileno(), segment.creator)
    state.remember(segment)
    return open_segment, (segment.uuid, source)


def reduce_kept_segment(segment: _core.Segment) -> tuple[Callable[..., _core.Segment], tuple[Any, ...]]:
    """Reduces a segment so that this process may let go of it before the receiver has it, which may take it once."""
    state.remember(segment)
    return open_segment, (segment.uuid, reduction.DupFd(segment.fileno()))


copyreg.pickle(_core.Segment, reduce_segment)
