"""Arrays that a queue or a connection lends: filled in place, then put without a copy.

Such an array lies in a `_core.LentBuffer`. When it is put, its memory becomes the receiver's, and it becomes a
`MovedArray`, which raises when it is used. Imported with the first `empty_array()`, since it needs numpy.
"""

from __future__ import annotations

import operator
import pickle
from typing import TYPE_CHECKING, Any, NoReturn, Protocol, Self, SupportsIndex

import numpy as np

from interproc import _core

if TYPE_CHECKING:
    from numpy.typing import DTypeLike


class Lender(Protocol):
    """What lends: a queue, or a connection that sends."""

    def empty_buffer(self, nbytes: SupportsIndex, /) -> _core.LentBuffer: ...


class LentArray(np.ndarray[Any, Any]):
    """A numpy array in memory that a queue or a connection lent: see its `empty_array()`.

    What is computed from it is an ordinary array. Slices and other views of it are copied when they are put.
    """

    def __array_wrap__(self, array: Any, context: Any = None, return_scalar: bool = False) -> Any:
        return array if array.ndim else array[()]

    def __reduce_ex__(self, protocol: SupportsIndex) -> Any:
        is_whole = isinstance(self.base, _core.LentBuffer)
        if not is_whole or operator.index(protocol) < 5:
            return self.view(np.ndarray).__reduce_ex__(protocol)
        order = "C" if self.flags.c_contiguous else "F"
        try:
            buffer = pickle.PickleBuffer(_exporter(self))
        except ValueError:  # numpy gives none of dates and times
            buffer = pickle.PickleBuffer(_exporter(_Carrier.of(self)))
        return _rebuild, (self.dtype, self.shape, buffer, order)


class _Carrier(np.ndarray[Any, Any]):
    """Stands for a whole lent array in its pickle: the same memory as bytes."""

    lent: LentArray

    @classmethod
    def of(cls, array: LentArray) -> Self:
        carrier = cls(array.nbytes, np.uint8, array.base)
        carrier.lent = array
        return carrier


_USED = (
    "this array was put, and its memory belongs to the receiver: put a copy() of it if you need it afterwards, and take"
    " a new one from empty_array() for the next message"
)


def _raise_used(*arguments: object, **keywords: object) -> NoReturn:
    raise ValueError(_USED)


_refuse: Any = _raise_used


class MovedArray(np.ndarray[Any, Any]):
    """What a lent array is once it was put. Whatever is done with it raises ValueError."""

    def __getattribute__(self, name: str) -> Any:
        if name == "__class__":
            return MovedArray
        raise ValueError(_USED)

    def __repr__(self) -> str:
        return "<array that was put>"

    __str__ = __repr__

    # What Python and numpy look up in the class, past __getattribute__. Operators all end in __array_ufunc__.
    __array_ufunc__ = __array_function__ = __array_finalize__ = __buffer__ = _refuse
    __getitem__ = __setitem__ = __delitem__ = __len__ = __iter__ = __contains__ = __setattr__ = _refuse
    __bool__ = __int__ = __float__ = __complex__ = __index__ = __format__ = _refuse
    __copy__ = __deepcopy__ = __reduce__ = __reduce_ex__ = _refuse


_core.install_arrays(LentArray, _Carrier, MovedArray)


def empty_array(lender: Lender, shape: Any, dtype: DTypeLike, order: Any) -> Any:
    """Makes an array, uninitialised, in memory of that queue or connection.

    Raises:
        TypeError: The dtype has Python objects in it, or the shape is none.
        ValueError: A negative length, an array too large to exist, or an order other than "C" and "F".
        MemoryError, OSError: There is no memory.
    """
    kind = np.dtype(dtype)
    if kind.hasobject:
        raise TypeError(f"an array of {kind} holds references to objects of this process: put an ordinary array")
    if order not in ("C", "F"):
        raise ValueError(f"order must be 'C' or 'F', not {order!r}")
    lengths = (operator.index(shape),) if hasattr(shape, "__index__") else tuple(map(operator.index, shape))
    nbytes = kind.itemsize
    for length in lengths:
        if length < 0:
            raise ValueError(f"negative lengths are not allowed: {lengths}")
        nbytes *= length
    if nbytes > np.iinfo(np.intp).max:
        raise ValueError(f"an array of shape {lengths} and {kind} is larger than memory can be")
    return LentArray(lengths, kind, _exporter(lender.empty_buffer(nbytes)), order=order)


def _exporter(buffer: object) -> Any:
    """What has the buffer protocol, though type checkers know it only since Python 3.12."""
    return buffer


def _rebuild(dtype: Any, shape: Any, buffer: Any, order: Any) -> Any:
    return np.ndarray(shape, dtype, buffer, order=order)
