"""Numbers, structures and arrays of ctypes in shared memory.

`RawValue` and `RawArray` make bare ctypes objects. `Value` and `Array` put a lock beside them, and operations on single
numbers that need none. All may be pickled at any time, to any process of the same user; the bare ones only by queues,
pipes and processes. Memory lives as long as anything refers to it, in any process.
"""

from __future__ import annotations

import ctypes
from ctypes import sizeof
from multiprocessing.reduction import ForkingPickler
from weakref import WeakKeyDictionary

import interproc.handles  # noqa: F401  # tells pickle about segments
from interproc import _core
from interproc.synchronize import RLock

TYPE_CHECKING = False  # without importing typing: see ARCHITECTURE.md on import time
if TYPE_CHECKING:
    from typing import Any

    import numpy

typecode_to_type: dict[str, Any] = {
    "c": ctypes.c_char,
    "u": ctypes.c_wchar,
    "b": ctypes.c_byte,
    "B": ctypes.c_ubyte,
    "h": ctypes.c_short,
    "H": ctypes.c_ushort,
    "i": ctypes.c_int,
    "I": ctypes.c_uint,
    "l": ctypes.c_long,
    "L": ctypes.c_ulong,
    "q": ctypes.c_longlong,
    "Q": ctypes.c_ulonglong,
    "f": ctypes.c_float,
    "d": ctypes.c_double,
}

# ctypes has one type for several names where they have one size, so some of these are there twice.
_typecodes = {kind: code for code, kind in typecode_to_type.items() if code not in "cu"}


def RawValue(typecode_or_type: Any, *args: Any) -> Any:
    """Makes a ctypes object in shared memory, without a lock.

    Args:
        typecode_or_type: A ctypes type, or a type code: one of c u b B h H i I l L q Q f d.
        args: For the type's constructor.

    Raises:
        TypeError: There is no such type code, or it is no type of ctypes.
        OSError: Out of memory or descriptors.
    """
    value = _new(_type_of(typecode_or_type))
    if args:
        value.__init__(*args)
    return value


def RawArray(typecode_or_type: Any, size_or_initializer: Any) -> Any:
    """Makes a ctypes array in shared memory, without a lock.

    Args:
        typecode_or_type: The type of its items: see `RawValue`.
        size_or_initializer: Its length, all items zero; or its items.

    Raises:
        TypeError: As for `RawValue`.
        ValueError: The length is negative.
        OSError: Out of memory or descriptors.
    """
    kind = _type_of(typecode_or_type)
    if not isinstance(size_or_initializer, int):
        array = _new(kind * len(size_or_initializer))
        array.__init__(*size_or_initializer)
        return array
    if size_or_initializer < 0:
        raise ValueError(f"the length of an array must not be negative: {size_or_initializer}")
    return _new(kind * size_or_initializer)


def Value(typecode_or_type: Any, *args: Any, lock: Any = True, ctx: object = None) -> Any:
    """Makes a ctypes object in shared memory with a lock.

    Args:
        typecode_or_type: A ctypes type, or a type code: see `RawValue`.
        args: For the type's constructor.
        lock: True for a new RLock, a lock to use, or False for the bare ctypes object.
        ctx: Accepted as in multiprocessing; values of all contexts are the same.

    Raises:
        TypeError: As for `RawValue`.
        AttributeError: `lock` is no lock.
        OSError: Out of memory or descriptors.
    """
    return _with_lock(RawValue(typecode_or_type, *args), lock)


def Array(typecode_or_type: Any, size_or_initializer: Any, *, lock: Any = True, ctx: object = None) -> Any:
    """Makes a ctypes array in shared memory with a lock.

    Args:
        typecode_or_type: The type of its items: see `RawValue`.
        size_or_initializer: Its length, all items zero; or its items.
        lock: True for a new RLock, a lock to use, or False for the bare ctypes array.
        ctx: Accepted as in multiprocessing; arrays of all contexts are the same.

    Raises:
        TypeError: As for `RawValue`.
        ValueError: The length is negative.
        AttributeError: `lock` is no lock.
        OSError: Out of memory or descriptors.
    """
    return _with_lock(RawArray(typecode_or_type, size_or_initializer), lock)


def copy(obj: Any) -> Any:
    """Copies a ctypes object into shared memory of its own; without a lock.

    Raises:
        OSError: Out of memory or descriptors.
    """
    copied = _new(type(obj))
    ctypes.pointer(copied)[0] = obj
    return copied


def synchronized(obj: Any, lock: Any = None, ctx: object = None) -> Any:
    """Puts a lock beside a ctypes object.

    Args:
        obj: The ctypes object; in shared memory, if other processes are to see it.
        lock: The lock to use, by default a new RLock.
        ctx: Accepted as in multiprocessing.

    Returns:
        A SynchronizedString for an array of c_char, a SynchronizedArray for another array, a Synchronized for a single
        number or character, and for a structure an object with its fields.

    Raises:
        AssertionError: It has a lock already.
        TypeError: It is no object of ctypes.
    """
    if isinstance(obj, SynchronizedBase):
        raise AssertionError(f"object already synchronized: {obj!r}")
    if isinstance(obj, ctypes.Array):
        return SynchronizedString(obj, lock) if obj._type_ is ctypes.c_char else SynchronizedArray(obj, lock)
    if isinstance(obj, ctypes._SimpleCData):
        return Synchronized(obj, lock) if type(obj) in _typecodes else SynchronizedCharacter(obj, lock)
    if hasattr(obj, "_fields_"):
        return _class_for(type(obj))(obj, lock)
    raise TypeError(f"only numbers, characters, structures and arrays of ctypes can be synchronized, not {obj!r}")


class SynchronizedBase:
    """A ctypes object and the lock that guards it.

    Args:
        obj: The ctypes object.
        lock: The lock to use, by default a new RLock.
        ctx: Accepted as in multiprocessing.
    """

    def __init__(self, obj: Any, lock: Any = None, ctx: object = None) -> None:
        self._obj = obj
        self._lock = RLock() if lock is None else lock
        self.acquire = self._lock.acquire
        self.release = self._lock.release

    def __enter__(self) -> bool:
        return self._lock.__enter__()

    def __exit__(self, *error: Any) -> None:
        self._lock.__exit__(*error)

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickles a handle, at any time, for any process of the same user; keep this object until it has arrived."""
        return _rebuild_synchronized, (_reduce(self._obj), self._lock)

    def get_obj(self) -> Any:
        """Returns the ctypes object. What is done with it takes no lock."""
        return self._obj

    def get_lock(self) -> Any:
        """Returns the lock: `with value.get_lock(): value.value += 1`."""
        return self._lock

    def __repr__(self) -> str:
        return f"<{type(self).__name__} wrapper for {self._obj}>"


def _field(name: str, what: str) -> property:
    """A property that is the ctypes object's own, read and written under the lock."""

    def read(self: SynchronizedBase) -> Any:
        with self._lock:
            return getattr(self._obj, name)

    def write(self: SynchronizedBase, value: Any) -> None:
        with self._lock:
            setattr(self._obj, name, value)

    return property(read, write, doc=f"{what}, read and written under the lock.")


class Synchronized(SynchronizedBase, _core.Atomic):
    """A number or character in shared memory.

    `value` reads and writes under the lock, but `value.value += 1` is both, one after the other: others may come
    between. Hold `get_lock()` around it, or use `add` and its kin, which are one step, take no lock and cannot be
    stopped half-way by a killed process.
    """

    def __init__(self, obj: Any, lock: Any = None, ctx: object = None) -> None:
        SynchronizedBase.__init__(self, obj, lock)
        _core.Atomic.__init__(self, obj, _typecodes[type(obj)], self._lock)


class SynchronizedCharacter(Synchronized):
    """A character, a bool or a Python object in shared memory; it has no operations but `value`."""

    def __init__(self, obj: Any, lock: Any = None, ctx: object = None) -> None:
        SynchronizedBase.__init__(self, obj, lock)

    value = _field("value", "The value")


class SynchronizedArray(SynchronizedBase):
    """An array in shared memory. Reading and writing an item or a slice takes the lock."""

    def __len__(self) -> int:
        return len(self._obj)

    def __getitem__(self, index: Any) -> Any:
        with self._lock:
            return self._obj[index]

    def __setitem__(self, index: Any, value: Any) -> None:
        with self._lock:
            self._obj[index] = value

    def __getslice__(self, start: int, stop: int) -> Any:
        return self[start:stop]

    def __setslice__(self, start: int, stop: int, values: Any) -> None:
        self[start:stop] = values

    def numpy(self) -> numpy.ndarray[Any, Any]:
        """Returns a writable numpy array on the same memory: no copy. What is done with it takes no lock.

        Raises:
            ImportError: numpy is not installed.
        """
        import numpy

        return numpy.ctypeslib.as_array(self._obj)

    def memoryview(self) -> memoryview:
        """Returns a writable memoryview on the same memory, in the items' format. What is done with it takes no lock.

        Raises:
            TypeError: The items are no single numbers or characters of one byte.
        """
        code = "c" if self._obj._type_ is ctypes.c_char else _typecodes.get(self._obj._type_)
        if code is None:
            raise TypeError(f"memoryviews are for numbers, not for {self._obj._type_.__name__}; use get_obj()")
        as_bytes: Any = memoryview(self._obj).cast("B")
        return as_bytes.cast(code)  # type: ignore[no-any-return]


class SynchronizedString(SynchronizedArray):
    """An array of c_char in shared memory."""

    value = _field("value", "The bytes before the first zero")
    raw = _field("raw", "All bytes")


# --- making ----------------------------------------------------------------------------------------------------------


def _type_of(typecode_or_type: Any) -> Any:
    if isinstance(typecode_or_type, str):
        if typecode_or_type not in typecode_to_type:
            codes = " ".join(typecode_to_type)
            raise TypeError(f"there is no type code {typecode_or_type!r}: use one of {codes}, or a type of ctypes")
        return typecode_to_type[typecode_or_type]
    try:
        sizeof(typecode_or_type)
    except TypeError as error:
        raise TypeError(f"{typecode_or_type!r} is neither a type code nor a type of ctypes") from error
    return typecode_or_type


def _new(kind: Any) -> Any:
    """Makes an object of a ctypes type in new shared memory, all zero."""
    return _place(kind, _core.HeapBlock(sizeof(kind)))


def _place(kind: Any, block: _core.HeapBlock) -> Any:
    if kind not in _registered:
        _registered[kind] = None
        ForkingPickler.register(kind, _reduce)
    value = kind.from_buffer(block)
    value._wrapper = _Memory(block)
    return value


def _with_lock(obj: Any, lock: Any) -> Any:
    if lock is False:
        return obj
    if lock is True or lock is None:
        return synchronized(obj)
    if not hasattr(lock, "acquire"):
        raise AttributeError(f"{lock!r} has no method 'acquire': lock must be True, False or a lock")
    return synchronized(obj, lock)


# --- travelling ------------------------------------------------------------------------------------------------------

# Types of which an object was in shared memory, and which therefore say how they travel.
_registered: WeakKeyDictionary[Any, None] = WeakKeyDictionary()


class _Memory:
    """The memory of a bare ctypes object, which lies beside it for `_reduce`.

    Picklers that do not know of `_reduce` meet this. Without it they would copy the object, and what is written into a
    copy is lost.
    """

    __slots__ = ("block",)

    def __init__(self, block: _core.HeapBlock) -> None:
        self.block = block

    def __reduce__(self) -> Any:
        raise TypeError(
            "values and arrays without a lock can be sent with queues, pipes and processes of interproc and"
            " multiprocessing; where something else pickles them, use Value or Array with a lock"
        )


def _reduce(obj: Any) -> Any:
    memory = getattr(obj, "_wrapper", None)
    if memory is None:  # one of the same type elsewhere: a copy
        return _rebuild_copy, (_name_type(type(obj)), bytes(obj))
    return _rebuild, (_name_type(type(obj)), memory.block)


def _name_type(kind: Any) -> Any:
    """What is pickled for a type: arrays have none that can be found by name, but an item and a length."""
    return (_name_type(kind._type_), kind._length_) if issubclass(kind, ctypes.Array) else kind


def _find_type(name: Any) -> Any:
    return _find_type(name[0]) * name[1] if isinstance(name, tuple) else name


def _rebuild(name: Any, block: _core.HeapBlock) -> Any:
    return _place(_find_type(name), block)


def _rebuild_copy(name: Any, content: bytes) -> Any:
    return _find_type(name).from_buffer_copy(content)


def _rebuild_synchronized(reduced: tuple[Any, tuple[Any, Any]], lock: Any) -> Any:
    rebuild, arguments = reduced
    return synchronized(rebuild(*arguments), lock)


# --- structures ------------------------------------------------------------------------------------------------------

_classes: WeakKeyDictionary[Any, type[SynchronizedBase]] = WeakKeyDictionary()


def _class_for(kind: Any) -> type[SynchronizedBase]:
    """The class whose objects have a structure's fields as properties under the lock."""
    if kind not in _classes:
        names = [field[0] for base in reversed(kind.__mro__) for field in vars(base).get("_fields_", ())]
        properties = {name: _field(name, f"The field {name}") for name in names}
        _classes[kind] = type(f"Synchronized{kind.__name__}", (SynchronizedBase,), properties)
    return _classes[kind]


__all__ = ["Array", "RawArray", "RawValue", "Value", "copy", "synchronized"]
