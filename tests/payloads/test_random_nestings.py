"""Any nesting of arrays and other buffers comes equal, and sender and receiver are independent, in both directions."""

import array
import copy
import itertools
import pickle
from typing import Any

import numpy as np
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays_of

import interproc
from interproc.context import SharedMemoryContext
from tests.contexts import PATIENCE_SECONDS, Children
from tests.payloads import bodies
from tests.payloads.bodies import Record

SETTINGS = settings(
    max_examples=40, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck)
)
DTYPES = arrays_of.scalar_dtypes() | arrays_of.nested_dtypes(max_itemsize=64)


@st.composite
def any_array(draw: st.DrawFn) -> Any:
    """An array of any dtype, order and slicing; now and then large enough for a block of its own."""
    shape = draw(arrays_of.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=5))
    made = draw(arrays_of.arrays(draw(DTYPES), shape, fill=st.nothing()))
    if made.ndim and draw(st.booleans()):
        made = np.concatenate([made] * (1 + 20_000 // max(1, made.nbytes)))
    if made.ndim and draw(st.booleans()):
        made = made[:: draw(st.sampled_from([1, 2, -1]))]
    if draw(st.booleans()):
        made = np.asfortranarray(made)
    if draw(st.booleans()):
        made = made.T
    made.flags.writeable = draw(st.booleans()) and made.flags.writeable
    return made


LEAVES = (
    any_array()
    | st.integers()
    | st.text(max_size=5)
    | st.none()
    | st.binary(max_size=5)
    | st.sampled_from([b"b" * 30_000, "t" * 30_000])
    | st.sampled_from([3, 30_000]).map(lambda size: bytearray(b"x" * size))
    | st.sampled_from([3, 30_000]).map(lambda size: array.array("d", range(size)))
)
NESTINGS = st.recursive(
    LEAVES,
    lambda inner: (
        st.lists(inner, max_size=4)
        | st.lists(inner, max_size=3).map(tuple)
        | st.dictionaries(st.text(max_size=3), inner, max_size=4)
        | st.builds(Record, st.text(max_size=3), inner)
    ),
    max_leaves=8,
)


def as_pickled(obj: Any) -> Any:
    """A copy as pickle makes it: numpy's pickles of bare times forget the order of bytes."""
    return pickle.loads(pickle.dumps(obj, 5))


def same(one: Any, other: Any) -> bool:
    """Whether two objects are of the same types and contents, arrays bit by bit."""
    if type(one) is not type(other):
        return False
    if isinstance(one, np.ndarray):
        return (one.dtype, one.shape, one.tobytes()) == (other.dtype, other.shape, other.tobytes())
    if isinstance(one, (list, tuple)):
        return len(one) == len(other) and all(map(same, one, other))
    if isinstance(one, dict):
        return list(one) == list(other) and all(same(one[key], other[key]) for key in one)
    if isinstance(one, Record):
        return one.name == other.name and same(one.parts, other.parts)
    return bool(one == other)


def test_queues_bring_any_nesting(context: SharedMemoryContext, children: Children) -> None:
    tasks, results = context.Queue(), context.Queue()
    children.start(bodies.send_back, tasks, results)

    numbers = itertools.count()

    @SETTINGS
    @given(NESTINGS)
    def bring(obj: Any) -> None:
        expected = as_pickled(obj)
        number = next(numbers)
        tasks.put((number, obj))
        bodies.overwrite(obj)
        while (came := results.get(timeout=PATIENCE_SECONDS))[0] != number:
            pass  # what an example left that failed
        assert same(came[1], expected), "the sender's later changes show, or something else came"
        assert results.get(timeout=PATIENCE_SECONDS) == "overwritten"
        assert same(came[1], expected), "the other process's changes show"

    bring()
    tasks.put(...)
    children.join()
    assert tasks.statistics()["blocks_used"] == results.statistics()["blocks_used"] == 0


def test_pipes_bring_any_nesting(context: SharedMemoryContext, children: Children) -> None:
    ours, theirs = context.Pipe()
    with ours, theirs:
        children.start(bodies.send_back_over_pipe, theirs)

        @SETTINGS
        @given(NESTINGS)
        def bring(obj: Any) -> None:
            expected = as_pickled(obj)
            ours.send(obj)
            bodies.overwrite(obj)
            assert same(ours.recv(timeout=PATIENCE_SECONDS), expected)

        bring()
        ours.send(...)
        children.join()


@SETTINGS
@given(NESTINGS)
def test_snapshots_are_of_any_nesting(obj: Any) -> None:
    expected = copy.deepcopy(obj)
    with interproc.share(obj) as snapshot:
        bodies.overwrite(obj)
        first, second = snapshot.get(), snapshot.get()
    assert same(first, expected)
    bodies.overwrite(first)
    assert same(second, expected)
    assert_read_only(second)


def assert_read_only(obj: Any) -> None:
    if isinstance(obj, np.ndarray):
        assert not obj.flags.writeable or obj.nbytes == 0 or obj.dtype.hasobject
    elif isinstance(obj, (list, tuple)):
        for part in obj:
            assert_read_only(part)
    elif isinstance(obj, dict):
        assert_read_only(list(obj.values()))
    elif isinstance(obj, Record):
        assert_read_only(obj.parts)
