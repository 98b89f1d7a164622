"""The contract of Value, Array and their kin, over every start method."""

import ctypes
import pickle
from collections.abc import Callable
from typing import Any

import numpy
import pytest

import interproc
from interproc import sharedctypes
from interproc.context import SharedMemoryContext
from tests.conformance import sync_bodies
from tests.contexts import PATIENCE_SECONDS, Children

INTEGERS = "bBhHiIlLqQ"


class Point(ctypes.Structure):
    """A structure that another one extends."""

    _fields_ = [("x", ctypes.c_double), ("y", ctypes.c_double)]


class Point3(Point):
    """The other one."""

    _fields_ = [("z", ctypes.c_double)]


def make_all(context: SharedMemoryContext) -> dict[str, Any]:
    return {
        "value": context.Value("i", 41),
        "array": context.Array("d", 3),
        "raw_value": context.RawValue(ctypes.c_longlong),
        "raw_array": context.RawArray("h", range(3)),
        "text": context.Array("c", 20),
        "point": context.Value(Point, 1, 2),
    }


def check_changed(values: dict[str, Any]) -> None:
    assert values["value"].value == 42
    assert values["array"][:] == [0.0, 2.5, 0.0]
    assert values["raw_value"].value == 7
    assert values["raw_array"][:] == [0, 1, 9]
    assert values["text"].value == b"changed"
    assert (values["point"].x, values["point"].y) == (3.25, 2.0)


def test_values_travel_to_a_new_process_and_are_shared(context: SharedMemoryContext, children: Children) -> None:
    values = make_all(context)
    children.start(sync_bodies.change_shared, values)
    children.join()
    check_changed(values)


def test_values_travel_through_a_queue_and_are_shared(context: SharedMemoryContext, children: Children) -> None:
    values = make_all(context)
    queue, done = context.Queue(), context.Queue()
    children.start(sync_bodies.receive_and_change, queue, done)
    queue.put(values)
    assert done.get(timeout=PATIENCE_SECONDS) == "done"
    check_changed(values)
    children.join()


def test_additions_with_the_lock_and_in_one_step_lose_nothing(context: SharedMemoryContext, children: Children) -> None:
    locked, atomic = context.Value("l"), context.Value("l")
    for _ in range(3):
        children.start(sync_bodies.add_under_lock, locked.get_lock(), locked, 2000)
        children.start(sync_bodies.add_atomically, atomic, 5000)
    children.join()
    assert (locked.value, atomic.value) == (6000, 15_000)


# --- alone -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("code", [*sharedctypes.typecode_to_type])
def test_every_type_code(code: str) -> None:
    kind = sharedctypes.typecode_to_type[code]
    sample: Any = {"c": b"x", "u": "x"}.get(code, 5)
    value = interproc.Value(code, sample)
    assert isinstance(value, sharedctypes.Synchronized)
    assert value.value == sample
    assert type(value.get_obj()) is kind
    array = interproc.Array(code, [sample] * 3)
    assert len(array) == 3
    assert array[1] == sample
    assert type(interproc.RawValue(kind, sample)) is kind
    zeroed = interproc.RawArray(code, 4)
    assert bytes(memoryview(zeroed).cast("B")) == bytes(4 * ctypes.sizeof(kind))


@pytest.mark.parametrize("code", INTEGERS)
def test_atomic_integers(code: str) -> None:
    value = interproc.Value(code, 12)
    assert value.add(5) == 12
    assert value.sub(1) == 17
    assert value.exchange(9) == 16
    assert value.compare_exchange(8, 1) is False
    assert value.compare_exchange(9, 1) is True
    assert (value.max(7), value.max(3), value.load()) == (1, 7, 7)
    assert (value.min(4), value.min(9), value.load()) == (7, 4, 4)
    assert (value.bit_or(3), value.bit_and(5), value.bit_xor(1), value.value) == (4, 7, 5, 4)
    bits = 8 * ctypes.sizeof(value.get_obj())
    most = 2 ** (bits - 1) - 1 if code.islower() else 2**bits - 1
    value.exchange(most)
    value.add(1)
    assert value.value == (-most - 1 if code.islower() else 0)
    for wrong in (2**bits, -(2**bits)):
        with pytest.raises(OverflowError, match="bits"):
            value.add(wrong)
    with pytest.raises(TypeError):
        value.add(1.5)


@pytest.mark.parametrize("code", "fd")
def test_atomic_floats(code: str) -> None:
    value = interproc.Value(code, 1.5)
    assert value.add(0.25) == 1.5
    assert value.exchange(-2) == 1.75
    assert value.compare_exchange(-2.0, 8.0)
    assert (value.max(9.5), value.min(0.5), value.load()) == (8.0, 9.5, 0.5)
    with pytest.raises(TypeError, match="integers"):
        value.bit_or(1)


def test_value_stores_as_ctypes_does() -> None:
    value = interproc.Value("b", 0)
    value.value = 300
    assert value.value == ctypes.c_byte(300).value
    with pytest.raises(TypeError):
        value.value = "text"
    with pytest.raises(TypeError):
        value.value = 1.5
    assert value.get_lock().acquire(False)
    value.get_lock().release()
    with pytest.raises(AttributeError):
        del value.value


def test_locks_that_are_given_or_refused() -> None:
    lock = interproc.Lock()
    value = interproc.Value("i", lock=lock)
    assert value.get_lock() is lock
    with value:
        assert lock.locked()
    bare = interproc.Value("i", 3, lock=False)
    assert type(bare) is ctypes.c_int
    with pytest.raises(AttributeError, match="acquire"):
        interproc.Value("i", lock="lock")
    with pytest.raises(AttributeError, match="acquire"):
        interproc.Array("i", 3, lock=5)
    with pytest.raises(AssertionError):
        sharedctypes.synchronized(value)
    with pytest.raises(TypeError):
        sharedctypes.synchronized(5)


@pytest.mark.parametrize("wrong", ["x", "ii", "", None, 5, int])
def test_unknown_types(wrong: Any) -> None:
    for make in (interproc.Value, interproc.RawValue):
        with pytest.raises(TypeError, match="type"):
            make(wrong)
    with pytest.raises(TypeError, match="type"):
        interproc.Array(wrong, 3)


def test_lengths_and_indexes_that_cannot_be() -> None:
    with pytest.raises(ValueError, match="-1"):
        interproc.Array("i", -1)
    array = interproc.Array("i", 3)
    with pytest.raises(IndexError):
        array[3]
    with pytest.raises(IndexError):
        array[3] = 1
    assert len(interproc.Array("i", 0)) == 0
    assert len(interproc.RawArray("i", [])) == 0


def test_array_gives_slices_and_views() -> None:
    array = interproc.Array("i", range(10))
    assert array[2:5] == [2, 3, 4]
    array[2:5] = [7, 8, 9]
    assert list(array) == [0, 1, 7, 8, 9, 5, 6, 7, 8, 9]
    view = array.memoryview()
    view[0] = 100
    matrix = array.numpy()
    matrix += 1
    assert array[0] == 101
    assert matrix.dtype == numpy.intc
    assert matrix.base is not None
    del array, view
    matrix[:] = 5  # the memory lives as long as the view
    assert matrix.sum() == 50


def test_text_and_structures() -> None:
    text = interproc.Array("c", b"hello")
    assert (text.value, text.raw, text[0]) == (b"hello", b"hello", b"h")
    text.value = b"hi"
    assert text.raw == b"hi\0lo"
    point = interproc.Value(Point3, 1, 2, 3)
    point.z += 1
    assert (point.x, point.y, point.z) == (1, 2, 4)
    points = interproc.Array(Point, [(1, 2), (3, 4)])
    assert points[1].y == 4
    points[0].x = 8
    assert points.get_obj()[0].x == 8


def test_copy_has_memory_of_its_own() -> None:
    original = interproc.RawArray("i", range(3))
    copied = sharedctypes.copy(original)
    copied[0] = 9
    assert original[:] == [0, 1, 2]
    assert copied[:] == [9, 1, 2]


def test_large_arrays_are_zero_and_can_be_filled() -> None:
    array = interproc.Array("d", 1_000_000)
    view = array.numpy()
    assert not view.any()
    view[:] = numpy.arange(1_000_000)
    assert array[999_999] == 999_999


def test_memory_is_zeroed_when_it_is_used_again() -> None:
    for _ in range(1000):
        array = interproc.RawArray("i", 100)
        assert not any(array)
        array[:] = [7] * 100


def test_plain_pickle_shares_what_has_a_lock() -> None:
    value = interproc.Value("i", 1)
    copied = pickle.loads(pickle.dumps(value))
    copied.value = 5
    assert value.value == 5
    array = interproc.Array(ctypes.c_int * 2, 3)
    shared = pickle.loads(pickle.dumps(array))
    shared[1][1] = 4
    assert array[1][1] == 4


def test_plain_pickle_never_copies_what_has_no_lock() -> None:
    for bare in (interproc.RawValue("i", 1), interproc.Value(Point, 1, 2, lock=False)):
        with pytest.raises(TypeError, match="with a lock"):
            pickle.dumps([bare])
    with pytest.raises(pickle.PicklingError):  # by way of its type, which has no name
        pickle.dumps([interproc.RawArray("i", 2)])


def test_closures_share_what_has_no_lock() -> None:
    bare = interproc.RawValue("i", 1)

    def increment() -> None:
        bare.value += 1

    queue: interproc.Queue[Callable[[], None]] = interproc.Queue()
    queue.put(increment)
    queue.get()()
    assert bare.value == 2


def test_unshared_objects_of_a_shared_type_are_pickled_as_before() -> None:
    interproc.RawValue("i", 1)
    assert pickle.loads(pickle.dumps(ctypes.c_int(3))).value == 3
