"""Snapshots: one copy of an object in sealed shared memory, for any number of readers in any processes.

The memory begins with a table of sizes, the pickle follows, then the buffers of the object's arrays, each on a cache
line of its own. Readers unpickle; their arrays are read-only views on the one copy.
"""

from __future__ import annotations

import pickle
import struct
import sys
from collections.abc import Callable
from typing import Any, Generic, TypeVar

from interproc.codec import pickling
from interproc.codec.reducers import merge_reducers
from interproc.deposits import deposits
from interproc.sealed_memory import SealedMemory

T = TypeVar("T")

_MAGIC = b"snapshot"
_HEAD = struct.Struct("=8sQQ")  # magic, bytes of the pickle, number of buffers; their sizes follow
_SIZE_BYTES = 8
_ALIGNMENT = 64
_KINDS_WITHOUT_BUFFER = "mMV"  # of numpy's: times, and structures that may contain such


def share(obj: T) -> Snapshot[T]:
    """Copies an object into shared memory, once, for any number of readers.

    Blocks only for the time of that copy.

    Args:
        obj: Whatever can be pickled; what has no name to be found by goes by value. Queues and connections in it are
            handles that need their holders.

    Returns:
        A handle, to be put on queues, sent over connections, passed to processes and to the tasks of pools.

    Raises:
        UnsendableError: A part of the object cannot be pickled; names it.
        OSError: Out of memory or descriptors; says what to do.

    Differs: multiprocessing has nothing like it.
    """
    deposits.forget_taken()
    return Snapshot(SealedMemory.write(_Writer().parts(obj)))


class Snapshot(Generic[T]):
    """A handle to an object as it was when `share` was called.

    It may be pickled at any time, any number of times, for any process of the same user. The memory lives as long as
    any handle, or any array that came from one, in any process; killed processes hold nothing. A handle that was sent
    keeps the memory until it arrives, even if the sender has dropped its own, but not beyond the end of the sender's
    process or its `close()`: then, if nobody else holds the snapshot either, receiving it raises HandleExpired. The
    sender notices the arrival when it next shares, sends or drops a snapshot. A forked child has what its parent had.
    """

    __slots__ = ("__weakref__", "_memory")

    def __init__(self, memory: SealedMemory) -> None:
        self._memory: SealedMemory | None = memory

    def get(self) -> T:
        """Returns the object: containers made anew, arrays as read-only views on the shared memory.

        Never blocks. The views stay valid when the handle is closed or gone. In one process all of them are on one
        mapping, however often this is called. Copies are: `bytes`, `str`, arrays of Python objects, tensors, and
        whatever else pickle keeps no buffer of.

        Raises:
            ValueError: This handle is closed.
            Exception: Whatever the classes of the object raise when they are unpickled.
        """
        return _read(self._held().map())  # type: ignore[no-any-return]

    @property
    def nbytes(self) -> int:
        """How much memory the snapshot takes, in all processes together.

        Raises:
            ValueError: This handle is closed.
        """
        return self._held().size_bytes

    @property
    def closed(self) -> bool:
        """Whether `close` was called."""
        return self._memory is None

    def close(self) -> None:
        """Lets go of the snapshot now. May be called again.

        Other handles and the objects that were got stay valid. What this process has sent and nobody has received yet
        leads nowhere from now on, unless others hold the snapshot.
        """
        memory, self._memory = self._memory, None
        if memory is not None:
            deposits.withdraw(memory)

    def __enter__(self) -> Snapshot[T]:
        """Returns this handle, to be closed at the end of the block."""
        self._held()
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def __reduce__(self) -> tuple[Any, ...]:
        return Snapshot, (self._held(),)

    def __repr__(self) -> str:
        return "<Snapshot, closed>" if self._memory is None else f"<Snapshot of {self._memory.size_bytes} bytes>"

    def __del__(self, is_finalizing: Callable[[], bool] = sys.is_finalizing) -> None:
        self._memory = None
        if not is_finalizing():
            deposits.forget_taken()

    def _held(self) -> SealedMemory:
        if self._memory is None:
            raise ValueError("the snapshot is closed: get() what you need before close() or the end of the with block")
        return self._memory


class _Writer:
    """Takes what a pickler makes of one object: pieces of the pickle, and buffers beside it."""

    def __init__(self) -> None:
        self._pieces: list[Any] = []
        self._buffers: list[memoryview] = []

    def write(self, piece: Any) -> None:
        self._pieces.append(piece if isinstance(piece, (bytes, bytearray)) else bytes(piece))

    def add_buffer(self, buffer: pickle.PickleBuffer) -> bool:
        """Keeps a buffer beside the pickle, however small: inside it, each reader would get a copy."""
        with memoryview(buffer) as view:
            if not view.contiguous:
                return True
        self._buffers.append(buffer.raw())
        return False

    def parts(self, obj: object) -> list[Any]:
        """Pickles the object, and returns what to write, in order."""
        reducers = _reducers()
        pickler = pickling.new_pickler(self)
        pickler.dispatch_table = {**merge_reducers(), **reducers}
        try:
            pickler.dump(obj)
        except Exception as error:
            self._buffers.clear()
            pickled, buffers = pickling.encode_by_value(obj, error, 0, reducers)
            self._pieces = [pickled]
            self._buffers = [buffer.raw() for buffer in buffers]
        pickle_bytes = sum(map(len, self._pieces))
        sizes = [view.nbytes for view in self._buffers]
        head = _HEAD.pack(_MAGIC, pickle_bytes, len(sizes)) + struct.pack(f"={len(sizes)}Q", *sizes)
        parts = [head, *self._pieces]
        offset = len(head) + pickle_bytes
        for view in self._buffers:
            parts += (bytes(-offset % _ALIGNMENT), view)
            offset += -offset % _ALIGNMENT + view.nbytes
        return parts


def _reducers() -> dict[type, Any]:
    """What comes before the registered reducers.

    Arrays are pickled so that their content always lies in a buffer, and tensors by themselves: PyTorch registers
    handles for them that one receiver can use, once.
    """
    reducers: dict[type, Any] = {
        kind: _reduce_itself for kind in merge_reducers() if kind.__module__.partition(".")[0] == "torch"
    }
    numpy = sys.modules.get("numpy")
    if numpy is not None:
        reducers[numpy.ndarray] = _reduce_array
    return reducers


def _reduce_itself(obj: Any) -> Any:
    return obj.__reduce_ex__(pickling.PROTOCOL)


def _reduce_array(array: Any) -> Any:
    """Numpy itself would copy into the pickle what is scattered, and what the buffer protocol has no name for."""
    if array.dtype.hasobject:
        return array.__reduce_ex__(pickling.PROTOCOL)
    if not array.flags.forc:
        array = array.copy()
    if array.dtype.kind not in _KINDS_WITHOUT_BUFFER or array.nbytes == 0:
        return array.__reduce_ex__(pickling.PROTOCOL)
    order = "C" if array.flags.c_contiguous else "F"
    return _array_of_bytes, (array.ravel(order).view("u1"), array.dtype, array.shape, order)


def _array_of_bytes(content: Any, dtype: Any, shape: Any, order: Any) -> Any:
    return content.view(dtype).reshape(shape, order=order)


def _read(memory: memoryview) -> Any:
    if memory.nbytes < _HEAD.size:
        raise OSError(f"shared memory of {memory.nbytes} bytes is too short for a snapshot")
    magic, pickle_bytes, buffer_count = _HEAD.unpack_from(memory)
    offset = _HEAD.size + buffer_count * _SIZE_BYTES
    if magic != _MAGIC or offset + pickle_bytes > memory.nbytes:
        raise OSError("this shared memory holds no snapshot, or one by another version of interproc")
    sizes = struct.unpack_from(f"={buffer_count}Q", memory, _HEAD.size)
    pickled = memory[offset : offset + pickle_bytes]
    offset += pickle_bytes
    buffers = []
    for size_bytes in sizes:
        offset += -offset % _ALIGNMENT
        if offset + size_bytes > memory.nbytes:
            raise OSError(f"a snapshot of {memory.nbytes} bytes cannot have a buffer of {size_bytes} at {offset}")
        buffers.append(memory[offset : offset + size_bytes])
        offset += size_bytes
    return pickle.loads(pickled, buffers=buffers)


__all__ = ["Snapshot", "share"]
