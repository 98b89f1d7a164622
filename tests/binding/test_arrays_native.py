"""Plain arrays without pickle: what goes that way, and what has to be pickled after all."""

import copyreg
import pickle
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays_of

from tests.binding.helpers import make_queue

KINDS = "?bBhHiIlLqQefdgFDG"


class Tagged(np.ndarray[Any, Any]):
    """A subclass, which may keep more than its elements."""


def pass_on(obj: Any) -> Any:
    queue = make_queue()
    queue.put(obj)
    return queue.get()


def payload_bytes(obj: Any) -> int:
    queue = make_queue()
    queue.put(obj)
    count: int = queue.statistics()["bytes_in"]
    return count


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("count", [0, 5, 50_000])
def test_numbers_travel_behind_a_header(kind: str, count: int) -> None:
    array = np.arange(count).astype(kind)
    assert payload_bytes(array) == 64 + array.nbytes
    came = pass_on(array)
    assert came.dtype is array.dtype
    assert came.tobytes() == array.tobytes()
    assert came.flags.writeable


@pytest.mark.parametrize("size", [3, 100])
def test_orders_and_shapes_stay(size: int) -> None:
    square = np.arange(size * size * 2.0).reshape(size, size, 2)
    for array in (square, np.asfortranarray(square), square.T, square[1:], square.reshape(-1)):
        came = pass_on(array)
        assert came.strides == array.strides
        assert np.array_equal(came, array)


def test_slices_with_gaps_travel_behind_a_header_and_are_viewed() -> None:
    cube = np.arange(60_000.0).reshape(30, 40, 50)
    for array in (cube[::2], cube[:, 1:3], cube[::-1], cube[..., 0], cube.transpose(1, 0, 2), cube.T[::3]):
        assert payload_bytes(array) == 64 + array.nbytes
        queue = make_queue()
        queue.put(array)
        came = queue.get()
        assert np.array_equal(came, array)
        assert came.flags.c_contiguous and came.flags.writeable
        assert queue.statistics()["blocks_used"] == (array.nbytes >= 8 * 1024)


def test_what_is_no_plain_array_is_pickled() -> None:
    plain = np.arange(1000.0)
    described = plain.astype(np.dtype("f8", metadata={"unit": "m"}))
    for array in (plain.view(Tagged), plain.astype(">f8"), plain.astype("M8[s]"), described):
        assert payload_bytes(array) != 64 + array.nbytes
        came = pass_on(array)
        assert (type(came), came.dtype) == (type(array), array.dtype)
        assert np.array_equal(came, array)


def test_a_read_only_array_comes_read_only() -> None:
    for count in (10, 100_000):
        array = np.arange(float(count))
        array.flags.writeable = False
        came = pass_on(array)
        assert np.array_equal(came, array)
        assert not came.flags.writeable


def test_a_reducer_of_the_users_is_asked() -> None:
    copyreg.pickle(np.ndarray, lambda array: (list, (array.tolist(),)))  # type: ignore[arg-type, return-value]
    try:
        assert pass_on(np.arange(3)) == [0, 1, 2]
    finally:
        del copyreg.dispatch_table[np.ndarray]
    assert np.array_equal(pass_on(np.arange(3)), [0, 1, 2])


def test_many_dimensions() -> None:
    for dimensions in range(12):
        array = np.ones((2,) * dimensions)
        came = pass_on(array)
        assert came.shape == array.shape
        assert np.array_equal(came, array)


def test_a_batch_of_arrays() -> None:
    queue = make_queue()
    sent = [np.full(count, count) for count in (0, 1, 100, 5000, 1, 50_000)] * 20
    queue.put_many(sent)
    came: list[Any] = []
    while len(came) < len(sent):
        came += queue.get_many(50)
    assert all(np.array_equal(a, b) for a, b in zip(sent, came, strict=True))


ANY_ARRAY = arrays_of.arrays(
    dtype=arrays_of.scalar_dtypes() | arrays_of.array_dtypes(), shape=arrays_of.array_shapes(min_dims=0, max_side=40)
)
NESTED = st.recursive(
    ANY_ARRAY | st.integers() | st.text(max_size=5) | st.binary(max_size=5) | st.none(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=3), inner, max_size=4),
    max_leaves=8,
)


def same(one: Any, other: Any) -> bool:
    if isinstance(one, np.ndarray):
        return (one.dtype, one.shape, one.tobytes()) == (other.dtype, other.shape, other.tobytes())
    if isinstance(one, list):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, dict):
        return list(one) == list(other) and all(same(one[key], other[key]) for key in one)
    return type(one) is type(other) and one == other


@settings(max_examples=100, deadline=None, derandomize=True, database=None)
@given(NESTED, st.integers(0, 2))
def test_any_nesting_comes_equal_and_independent(obj: Any, repeats: int) -> None:
    if isinstance(obj, np.ndarray) and obj.size:
        obj = np.repeat(obj.reshape(-1), 1 + 2000 * repeats)
    expected = pickle.loads(pickle.dumps(obj, 5))
    queue = make_queue()
    queue.put(obj)
    first = queue.get()
    assert same(first, expected)
    queue.put(obj)
    second = queue.get()
    if isinstance(first, np.ndarray):
        first.fill(first.reshape(-1)[-1]) if first.size else None
    assert same(second, expected)
