"""Sealing: pickling an object apart from the message that carries it.

Who opens it is told alone when it cannot be made anew, and not the thread that happened to receive the message. Large
buffers stay beside the pickle.
"""

from __future__ import annotations

import copyreg
import io
import pickle
from multiprocessing.reduction import ForkingPickler

from interproc.codec import pickling
from interproc.codec.reducers import merge_reducers

TYPE_CHECKING = False  # without importing typing: see ARCHITECTURE.md on import time
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    Sealed = tuple[Any, ...]  # the pickle, then its buffers

_ATOMS = frozenset({type(None), bool, int, float, complex, str, bytes})


class Sealer:
    """Seals one object after the other, as fast as pickle can. For any thread."""

    def __init__(self) -> None:
        self._idle: list[_Pickler] = []

    def seal(self, obj: object) -> Sealed:
        """Pickles an object, by value where necessary.

        Raises:
            UnsendableError: There is no way; names the part that is to blame.
        """
        try:
            pickler = self._idle.pop()
        except IndexError:  # other threads have them, or a __reduce__ method seals something
            pickler = _Pickler()
        try:
            return pickler.dump(obj)
        except Exception as error:
            pickled, buffers = pickling.encode_by_value(obj, error)
            return pickled, *buffers
        finally:
            pickler.clear()
            self._idle.append(pickler)


class _Pickler:
    """A pickler to be used again, and where it leaves a pickle and the buffers that are worth it."""

    def __init__(self) -> None:
        self._stream = io.BytesIO()
        self.write = self._stream.write
        self._buffers: list[pickle.PickleBuffer] = []
        self._pickler = pickling.new_pickler(self)
        self._reducers: tuple[Any, Any] = None, None

    def add_buffer(self, buffer: pickle.PickleBuffer) -> bool:
        """Keeps a buffer beside the pickle, unless it is small or scattered: then True sends it inside."""
        with memoryview(buffer) as view:
            if view.nbytes < pickling.OUT_OF_BAND_BYTES or not view.contiguous:
                return True
        self._buffers.append(buffer)
        return False

    def dump(self, obj: object) -> Sealed:
        registered: Any = ForkingPickler._extra_reducers  # type: ignore[attr-defined]  # typeshed leaves it out
        if self._reducers != (registered, copyreg.dispatch_table):
            self._reducers = {**registered}, {**copyreg.dispatch_table}
            self._pickler.dispatch_table = merge_reducers()
        self._pickler.dump(obj)
        return self._stream.getvalue(), *self._buffers

    def clear(self) -> None:
        self._pickler.clear_memo()
        self._stream.seek(0)
        self._stream.truncate()
        self._buffers.clear()


def seal(obj: object) -> Sealed:
    """Seals one object: see `Sealer.seal`."""
    return Sealer().seal(obj)


def unseal(sealed: Sequence[Any]) -> Any:
    """Makes the object anew. Raises what its classes raise."""
    if len(sealed) == 1:
        return pickle.loads(sealed[0])
    pickled, *buffers = sealed
    return pickle.loads(pickled, buffers=buffers)


def is_safe(obj: object) -> bool:
    """Whether an object, a plain value or a list of such, can be made anew for certain and need not be sealed."""
    return type(obj) in _ATOMS or (type(obj) is list and _ATOMS.issuperset(map(type, obj)))


__all__ = ["Sealer", "is_safe", "seal", "unseal"]
