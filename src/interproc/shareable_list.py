"""A list of fixed length in shared memory.

The standard library's layout, so that its ShareableList reads ours and ours reads its::

    int64                the number of items, n
    int64 * (n + 1)      where each item begins in the data, and where the data ends
    data                 each item in a multiple of eight bytes
    8 bytes * n          each item's format, in the language of `struct`
    int8 * n             how to turn what was unpacked into the value: see _Kind
    padding to 8 bytes

That drops null characters at the end of a value. So what follows, which only ours reads, counts them::

    8 bytes              _MAGIC
    uint32 * n           how many null bytes at the end belong to each value
"""

from __future__ import annotations

import itertools
import struct
from collections.abc import Iterable, Iterator
from types import GenericAlias

TYPE_CHECKING = False  # without importing typing: see ARCHITECTURE.md on import time
if TYPE_CHECKING:
    from typing import Any

    from interproc.shared_memory import SharedMemory

    Item = int | float | bool | str | bytes | None

_ALIGNMENT = 8
_MOST_BYTES = 9_999_999  # more digits do not fit into a format's eight bytes
_MAGIC = b"interpr\0"
_FORMATS = {int: "q", float: "d", bool: "xxxxxxx?", type(None): "xxxxxx?x"}
_PLAIN, _TEXT, _BYTES, _NONE = range(4)
_INT64 = struct.Struct("q")
_UINT32 = struct.Struct("I")


class UnshareableItem(TypeError, KeyError):
    """A ShareableList cannot hold a value of this type. The standard library raises a KeyError."""


class ShareableList:
    """A list whose items live in shared memory, where any process of this user may read and replace them.

    Holds integers of 64 bits, floats, bools, text, bytes and None. Its length is fixed, and so is the room of each
    item: eight bytes, or what the text or bytes that it began with take, rounded up. Nothing here blocks, and nothing
    keeps a reader from seeing an item half replaced: share a Lock where that matters.

    Args:
        sequence: The items of a new list; None with a `name` attaches to a list that is there.
        name: The name of its memory; None for a new one.

    Attributes:
        shm: The SharedMemory that holds the list, to be closed and unlinked as such.

    Raises:
        UnshareableItem: An item is of another type.
        struct.error: An integer has more than 64 bits.
        ValueError: Text or bytes are too long; or the memory holds no list.
        OSError: As from SharedMemory.

    Differs: text and bytes come back exactly, null characters at the end included; the standard library drops them, and
        corrupts text that is not ASCII. Nothing is left behind when an item is refused.
    """

    shm: SharedMemory

    def __init__(self, sequence: Iterable[Item] | None = None, *, name: str | None = None) -> None:
        from interproc.shared_memory import SharedMemory

        if name is not None and sequence is None:
            self.shm = SharedMemory(name)
            self._read_layout()
            return
        items = [_Packed.of(value) for value in sequence or ()]
        self._lay_out(items)
        self.shm = SharedMemory(name, create=True, size=self._end)
        buf = self.shm.buf
        struct.pack_into(f"{len(items) + 2}q", buf, 0, len(items), *self._offsets)
        buf[self._zeros - len(_MAGIC) : self._zeros] = _MAGIC
        for position, item in enumerate(items):
            self._write(position, item)

    def _lay_out(self, items: list[_Packed]) -> None:
        offsets = [0]
        for item in items:
            offsets.append(offsets[-1] + item.room)
        self._set_layout(tuple(offsets))

    def _set_layout(self, offsets: tuple[int, ...]) -> None:
        count = len(offsets) - 1
        self._offsets = offsets
        self._length = count
        self._data = (count + 2) * _ALIGNMENT
        self._formats = self._data + offsets[-1]
        self._kinds = self._formats + count * 8
        self._zeros = -(-(self._kinds + count) // _ALIGNMENT) * _ALIGNMENT + len(_MAGIC)
        self._end = self._zeros + count * _UINT32.size
        self._is_ours = True

    def _read_layout(self) -> None:
        buf, size = self.shm.buf, self.shm.size
        count = _INT64.unpack_from(buf, 0)[0] if size >= 2 * _ALIGNMENT else -1
        if not 0 <= count <= (size - 2 * _ALIGNMENT) // _ALIGNMENT:
            raise self._not_a_list()
        offsets: tuple[int, ...] = struct.unpack_from(f"{count + 1}q", buf, _ALIGNMENT)
        if offsets[0] != 0 or any(one > other for one, other in itertools.pairwise(offsets)):
            raise self._not_a_list()
        self._set_layout(offsets)
        if self._kinds + count > size:
            raise self._not_a_list()
        self._is_ours = self._end <= size and buf[self._zeros - len(_MAGIC) : self._zeros] == _MAGIC

    def _not_a_list(self) -> ValueError:
        name = self.shm.name
        self.shm.close()
        return ValueError(f"the shared memory {name!r} holds no ShareableList")

    def __getitem__(self, position: int) -> Any:
        """Returns a copy of an item.

        Raises:
            IndexError: There is no such position.
            ValueError: The list's memory is closed, or was overwritten with something else.
        """
        position = self._checked(position, "index out of range")
        buf = self._open_buffer()
        (kind,) = struct.unpack_from("b", buf, self._kinds + position)
        format = self._get_packing_format(position)
        start = self._data + self._offsets[position]
        room = self._offsets[position + 1] - self._offsets[position]
        if kind in (_TEXT, _BYTES) and format[-1:] == "s" and format[:-1].isdecimal() and int(format[:-1]) <= room:
            raw = bytes(buf[start : start + int(format[:-1])]).rstrip(b"\0")
            raw += bytes(self._zeros_of(position, room - len(raw)))
            return raw.decode() if kind == _TEXT else raw
        if kind not in (_PLAIN, _NONE) or format not in _FORMATS.values() or room < _ALIGNMENT:
            raise ValueError(f"item {position} of {self.shm.name!r} was overwritten: format {format!r}, kind {kind}")
        return None if kind == _NONE else struct.unpack_from(format, buf, start)[0]

    def __setitem__(self, position: int, value: Item) -> None:
        """Replaces an item.

        Raises:
            IndexError: There is no such position.
            UnshareableItem: The value is of a type that the list cannot hold.
            ValueError: The text or bytes take more room than the item has; or the list's memory is closed.
        """
        position = self._checked(position, "assignment index out of range")
        self._open_buffer()
        item = _Packed.of(value)
        room = self._offsets[position + 1] - self._offsets[position]
        if len(item.data) > room:
            raise ValueError(
                f"bytes/str item exceeds available storage: {len(item.data)} bytes for the {room} of item {position};"
                " make the list with the longest value that the item shall hold"
            )
        self._write(position, item)

    def _write(self, position: int, item: _Packed) -> None:
        buf, start = self.shm.buf, self._data + self._offsets[position]
        room = self._offsets[position + 1] - self._offsets[position]
        format = f"{room}s" if item.is_string else item.format
        struct.pack_into("8s", buf, self._formats + position * 8, format.encode())
        struct.pack_into("b", buf, self._kinds + position, item.kind)
        if self._is_ours:
            zeros = len(item.data) - len(item.data.rstrip(b"\0")) if item.is_string else 0
            _UINT32.pack_into(buf, self._zeros + position * _UINT32.size, zeros)
        buf[start : start + room] = item.data.ljust(room, b"\0")

    def _zeros_of(self, position: int, room: int) -> int:
        """How many null bytes end the value; none if the standard library's class wrote it."""
        if not self._is_ours:
            return 0
        count: int = _UINT32.unpack_from(self.shm.buf, self._zeros + position * _UINT32.size)[0]
        return count if count <= room else 0

    def _get_packing_format(self, position: int) -> str:
        position = self._checked(position, "Requested position out of range.")
        (raw,) = struct.unpack_from("8s", self._open_buffer(), self._formats + position * 8)
        text: str = raw.rstrip(b"\0").decode("ascii", "replace")
        return text

    def _checked(self, position: int, complaint: str) -> int:
        if not -self._length <= position < self._length:
            raise IndexError(f"{complaint}: {position} in a list of {self._length}")
        return position % self._length

    def _open_buffer(self) -> memoryview:
        buf: memoryview | None = self.shm.buf
        if buf is None:
            raise ValueError("the list's shared memory is closed in this process")
        return buf

    def __iter__(self) -> Iterator[Any]:
        """Yields a copy of each item."""
        return map(self.__getitem__, range(self._length))

    def __len__(self) -> int:
        return self._length

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickles the name: the memory must not be unlinked before the receiver has attached."""
        return _rebuild, (type(self), self.shm.name)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({list(self)}, name={self.shm.name!r})"

    @property
    def format(self) -> str:
        """The items' formats in the language of `struct`, one after the other."""
        return "".join(self._get_packing_format(position) for position in range(self._length))

    def count(self, value: object) -> int:
        """Returns how many items equal a value."""
        return sum(value == item for item in self)

    def index(self, value: object) -> int:
        """Returns the position of the first item that equals a value.

        Raises:
            ValueError: There is none.
        """
        for position, item in enumerate(self):
            if value == item:
                return position
        raise ValueError(f"{value!r} not in this container")

    __class_getitem__: Any = classmethod(GenericAlias)


class _Packed:
    """A value as it lies in the list."""

    def __init__(self, kind: int, format: str, data: bytes, room: int = _ALIGNMENT) -> None:
        self.kind = kind
        self.format = format
        self.data = data
        self.room = room
        self.is_string = kind in (_TEXT, _BYTES)

    @classmethod
    def of(cls, value: Item) -> _Packed:
        if isinstance(value, (str, bytes)):
            data = value.encode() if isinstance(value, str) else value
            if len(data) > _MOST_BYTES:
                raise ValueError(f"text or bytes of {len(data)} bytes: a ShareableList takes {_MOST_BYTES} at most")
            # The standard library goes by the length of the text, and takes too little if that is not ASCII.
            room = max(len(value) // _ALIGNMENT + 1, -(-len(data) // _ALIGNMENT)) * _ALIGNMENT
            return cls(_TEXT if isinstance(value, str) else _BYTES, "", data, room)
        format = _FORMATS.get(type(value))
        if format is None:
            raise UnshareableItem(
                f"a ShareableList cannot hold {value!r} of type {type(value).__name__}; it takes int, float, bool, str,"
                " bytes and None: convert it, or pickle it to bytes"
            )
        try:
            return cls(_NONE if value is None else _PLAIN, format, struct.pack(format, value))
        except struct.error:
            raise struct.error(f"{value!r} does not fit into 64 bits: store it as text or bytes") from None


def _rebuild(kind: type[ShareableList], name: str) -> ShareableList:
    return kind(name=name)


__all__ = ["ShareableList", "UnshareableItem"]
