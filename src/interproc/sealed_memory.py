"""Sealed memory: written once, and from then on nobody can change it, in any process.

A nameless file in memory under the kernel's write seal. The kernel frees it with the last descriptor and mapping, so it
cannot leak, however its holders end. Mappings are private, because kernels before 6.7 refuse shared ones of sealed
files; nobody can write, so the pages are those of the file all the same.
"""

from __future__ import annotations

import errno
import fcntl
import mmap
import os
import sys
from multiprocessing import reduction

from interproc.deposits import Ticket, deposits
from interproc.errors import HandleExpired
from interproc.handles import Handle, fetch, is_spawning
from interproc.state import state

TYPE_CHECKING = False  # without importing typing: see ARCHITECTURE.md on import time
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    from interproc.handles import Holder, Source

_SEALS = fcntl.F_SEAL_WRITE | fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_GROW | fcntl.F_SEAL_SEAL
_MOST_HOLDERS = 4  # that a handle names
_MOST_PARTS = 1024  # of one pwritev(): the kernel's limit
_NO_MEMORY = (errno.ENOSPC, errno.ENOMEM, errno.EDQUOT)
_NO_DESCRIPTOR = (errno.EMFILE, errno.ENFILE)


class SealedMemory:
    """One piece of it, and this process's descriptor and mapping, which exist once per process.

    Attributes:
        identity: The file's device and inode.
        size_bytes: Its size.
    """

    __slots__ = ("__weakref__", "_fd", "_holders", "_mapping", "identity", "size_bytes")

    def __init__(self, fd: int, holders: tuple[Holder, ...]) -> None:
        """Takes the descriptor over, unless this raises."""
        found = os.fstat(fd)
        self._holders = ((os.getpid(), fd), *holders)[:_MOST_HOLDERS]
        self._mapping: mmap.mmap | None = None
        self.identity = found.st_dev, found.st_ino
        self.size_bytes = found.st_size
        self._fd = fd

    @classmethod
    def write(cls, parts: Sequence[bytes | bytearray | memoryview]) -> SealedMemory:
        """Copies parts, one after the other, into new sealed memory; all of it is there when this returns.

        Raises:
            OSError: Out of memory or descriptors; says what to do.
        """
        try:
            fd = os.memfd_create("interproc-sealed", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        except OSError as error:
            raise _explained(error, parts) from error
        try:
            _write_all(fd, parts)
            fcntl.fcntl(fd, fcntl.F_ADD_SEALS, _SEALS)
            memory = cls(fd, ())
        except OSError as error:
            os.close(fd)
            raise _explained(error, parts) from error
        except BaseException:
            os.close(fd)
            raise
        return _remember(memory)

    def map(self) -> memoryview:
        """Returns a read-only view of all of it. The memory lives at least as long as any view.

        Raises:
            OSError: Out of address space or descriptors.
        """
        with state.lock:
            if self._mapping is None:
                self._mapping = _map(self._fd, self.size_bytes)
            return memoryview(self._mapping)

    def fileno(self) -> int:
        """Returns the descriptor, which stays this object's."""
        return self._fd

    def __reduce__(self) -> tuple[Callable[..., SealedMemory], tuple[Any, ...]]:
        """Pickles a handle, and keeps the memory until the receiver has it: see `deposits`."""
        handle = Handle.of(self._fd, *self._holders)
        if is_spawning():
            return _open, (handle, reduction.DupFd(self._fd), None)
        return _open, (handle, handle, deposits.leave(self))

    def __del__(self, close: Callable[[int], None] = os.close) -> None:
        if hasattr(self, "_fd"):
            close(self._fd)


def _open(handle: Handle, source: Source, ticket: Ticket | None) -> SealedMemory:
    """Opens what a handle names, or returns what this process has already, and tells the sender."""
    with state.lock:
        memory: SealedMemory | None = state.sealed.get((handle.device, handle.inode))
    if memory is None or source is not handle:
        fd = fetch(source)
        if memory is None:
            memory = _attach(fd, handle.holders)
        elif fd != memory.fileno():  # a started process inherits each descriptor once, and may meet it several times
            os.close(fd)
    if ticket is not None:
        ticket.take()
    return memory


def _attach(fd: int, holders: tuple[Holder, ...]) -> SealedMemory:
    try:
        if fcntl.fcntl(fd, fcntl.F_GET_SEALS) & _SEALS != _SEALS:
            raise HandleExpired(f"descriptor {fd} is not of memory that is sealed against writing")
        memory = SealedMemory(fd, holders)
    except BaseException:
        os.close(fd)
        raise
    return _remember(memory)


def _remember(memory: SealedMemory) -> SealedMemory:
    with state.lock:
        known: SealedMemory = state.sealed.setdefault(memory.identity, memory)
    return known


def _write_all(fd: int, parts: Sequence[bytes | bytearray | memoryview]) -> None:
    views = [memoryview(part).cast("B") for part in parts if len(part)]
    next_index = 0
    offset = 0
    while next_index < len(views):
        written = os.pwritev(fd, views[next_index : next_index + _MOST_PARTS], offset)
        offset += written
        while next_index < len(views) and written >= views[next_index].nbytes:
            written -= views[next_index].nbytes
            next_index += 1
        if written:
            views[next_index] = views[next_index][written:]


def _map(fd: int, size_bytes: int) -> mmap.mmap:
    if sys.version_info >= (3, 13):  # earlier versions keep a second descriptor
        return mmap.mmap(fd, size_bytes, flags=mmap.MAP_PRIVATE, prot=mmap.PROT_READ, trackfd=False)
    return mmap.mmap(fd, size_bytes, flags=mmap.MAP_PRIVATE, prot=mmap.PROT_READ)


def _explained(error: OSError, parts: Sequence[bytes | bytearray | memoryview]) -> OSError:
    size_bytes = sum(memoryview(part).nbytes for part in parts)
    if error.errno in _NO_MEMORY:
        return OSError(
            error.errno,
            f"no room for {size_bytes} bytes of shared memory: free memory, or raise the limit of this control group"
            " or container",
        )
    if error.errno in _NO_DESCRIPTOR:
        return OSError(
            error.errno,
            "no descriptor is left for shared memory: close what is not needed, or raise the limit (ulimit -n)",
        )
    if error.errno == errno.EFBIG:
        return OSError(
            error.errno, f"{size_bytes} bytes are more than a file may have here: raise the limit (ulimit -f)"
        )
    return error


__all__ = ["SealedMemory"]
