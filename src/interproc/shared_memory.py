"""Named shared memory, and lists in it.

The memory is there when the constructor returns. It goes with its last view, and its name with `unlink` or with the
program that made it: see `named_memory`.
"""

from __future__ import annotations

import mmap
import operator
import os
import sys

from interproc import named_memory
from interproc.shareable_list import ShareableList

TYPE_CHECKING = False  # without importing typing: see ARCHITECTURE.md on import time
if TYPE_CHECKING:
    from typing import Any

_USE_POSIX = True
_SHM_NAME_PREFIX = "/psm_"


class SharedMemory:
    """A block of memory that any process of this user can use under its name.

    Nothing here blocks. Copies of the object, pickled or inherited by fork, mean the same block.

    Args:
        name: The block's name; None with `create` for a new one that nobody has.
        create: Make the block, instead of attaching to one that is there.
        size: How many bytes to make; ignored when attaching.
        track: With `create`: True for a block that is removed when the program that made it has ended, however that
            ended, and nobody has it mapped; False for one that stays until `unlink`. Attaching never removes anything.

    Raises:
        FileExistsError: `create`, and the name is taken.
        FileNotFoundError: Not `create`, and there is no such block, or the program that made it has ended.
        OSError: With errno ENOSPC: there is not enough memory; says how much there is and how to get more.
        ValueError: `size` is negative, or zero with `create`; `name` is None without `create`; the block is empty.

    Differs: memory is reserved at creation. `close` never fails: views stay valid, and the memory goes with the last.
        No tracker process exists, an attaching process destroys nothing, and nothing is printed about blocks that were
        left. `track` exists in all versions.
    """

    _name: str = ""
    _size = 0
    _mmap: mmap.mmap | None = None
    _buf: memoryview | None = None
    _flags = os.O_RDWR
    _mode = 0o600

    def __init__(self, name: str | None = None, create: bool = False, size: int = 0, *, track: bool = True) -> None:
        size = operator.index(size)
        if size < 0:
            raise ValueError(f"'size' must be a positive integer, not {size}")
        if create and size == 0:
            raise ValueError("'size' must be a positive number different from zero")
        if create:
            self._create(name, size, track)
        elif name is None:
            raise ValueError("'name' can only be None if create=True")
        else:
            self._attach("/" + name)

    def _create(self, name: str | None, size: int, track: bool) -> None:
        if name is not None:
            named_memory.plain_name(name)
        fd = named_memory.reserve(size, self._mode)
        try:
            mapping = _map(fd, size)
            if name is None:
                self._name = _publish_somehow(fd, track)
            else:
                self._name = "/" + name
                named_memory.publish(fd, self._name, track)
        finally:
            os.close(fd)
        self._show(mapping)

    def _attach(self, name: str) -> None:
        fd = named_memory.attach(name, self._flags)
        try:
            size = os.fstat(fd).st_size
            if size == 0:
                raise ValueError(f"the shared memory {name[1:]!r} is empty: who made it has not given it its size yet")
            mapping = _map(fd, size)
        finally:
            os.close(fd)
        self._name = name
        self._show(mapping)

    def _show(self, mapping: mmap.mmap) -> None:
        self._mmap = mapping
        self._buf = memoryview(mapping)
        self._size = len(mapping)

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickles the name: the block must not be unlinked before the receiver has attached."""
        return type(self), (self.name, False, self.size)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.name!r}, size={self.size})"

    @property
    def buf(self) -> memoryview:
        """The block's content, writable; None after `close`. Views of it keep the memory, whatever happens to this."""
        return self._buf  # type: ignore[return-value]  # as in typeshed: who closes does not look

    @property
    def name(self) -> str:
        """The block's name, by which other processes attach to it."""
        return self._name[1:]

    @property
    def size(self) -> int:
        """The block's size in bytes."""
        return self._size

    def close(self) -> None:
        """Lets go of the block in this process. May be called again.

        Memory that is in use stays: a `memoryview` or an array over `buf` may be used on, and the last one to go takes
        the mapping with it.
        """
        self._buf = None
        self._mmap = None

    def unlink(self) -> None:
        """Takes the block's name away, once for all processes. Who has the block keeps it.

        Raises:
            FileNotFoundError: It was taken away already.
        """
        named_memory.unlink(self._name)


def _publish_somehow(fd: int, track: bool) -> str:
    while True:
        name = _make_filename()
        try:
            named_memory.publish(fd, name, track)
        except FileExistsError:
            continue
        return name


def _make_filename() -> str:
    """Returns a name that probably nobody has."""
    return _SHM_NAME_PREFIX + os.urandom(4).hex()


def _map(fd: int, size: int) -> mmap.mmap:
    if sys.version_info >= (3, 13):
        return mmap.mmap(fd, size, trackfd=False)
    return mmap.mmap(fd, size)  # keeps a copy of the descriptor


__all__ = ["ShareableList", "SharedMemory"]
