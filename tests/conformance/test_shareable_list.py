"""The contract of ShareableList."""

import multiprocessing.resource_tracker
import multiprocessing.shared_memory
import os
import pickle
import struct
from collections.abc import Iterator
from contextlib import contextmanager
from enum import IntEnum
from typing import Any

import hypothesis
import pytest
from hypothesis import strategies

from interproc.context import SharedMemoryContext
from interproc.shareable_list import UnshareableItem
from interproc.shared_memory import ShareableList, SharedMemory
from tests.conformance import memory_bodies
from tests.contexts import PATIENCE_SECONDS, Children
from tests.shm_records import names_of_this_process

MIXED = ["howdy", b"HoWdY", -273.154, 100, None, True, 42]
ITEMS = strategies.one_of(
    strategies.none(),
    strategies.booleans(),
    strategies.integers(-(2**63), 2**63 - 1),
    strategies.floats(allow_nan=False),
    strategies.text(),
    strategies.binary(),
)


class Colour(IntEnum):
    RED = 1


@contextmanager
def shareable(sequence: Any, name: str | None = None) -> Iterator[ShareableList]:
    """A list whose memory is unlinked in the end."""
    items = ShareableList(sequence, name=name)
    try:
        yield items
    finally:
        items.shm.unlink()


def test_list_of_all_kinds_behaves_like_a_list() -> None:
    with shareable(MIXED) as items:
        assert list(items) == MIXED
        assert len(items) == 7
        assert (items[0], items[-2], items[6]) == ("howdy", True, 42)
        assert items.format == "8s8sdqxxxxxx?xxxxxxxx?q"
        assert (items.count(42), items.count(b"HoWdY"), items.count("nobody")) == (1, 1, 0)
        assert items.index(100) == 3
        with pytest.raises(ValueError, match="'100' not in this container"):
            items.index("100")
        assert repr(items) == f"ShareableList({MIXED!r}, name={items.shm.name!r})"


@pytest.mark.parametrize("position", [7, -8, 100])
def test_position_outside_raises(position: int) -> None:
    with shareable(MIXED) as items:
        with pytest.raises(IndexError, match=f"index out of range: {position} in a list of 7"):
            items[position]
        with pytest.raises(IndexError, match=f"assignment index out of range: {position}"):
            items[position] = 1


def test_items_are_replaced_within_their_room() -> None:
    with shareable(MIXED) as items:
        items[3] = 42
        items[4] = "some"
        items[0] = "encodés"  # eight bytes
        assert list(items) == ["encodés", b"HoWdY", -273.154, 42, "some", True, 42]
        assert items.format == "8s8sdq8sxxxxxxx?q"
        for position, value in ((0, "encodées"), (1, b"123456789"), (4, "far too many"), (3, "nine bytes")):
            with pytest.raises(ValueError, match="exceeds available storage"):
                items[position] = value
        items[0] = None
        items[0] = 2.5
        items[0] = "12345678"
        assert list(items) == ["12345678", b"HoWdY", -273.154, 42, "some", True, 42]


@hypothesis.given(strategies.lists(ITEMS, max_size=8), strategies.lists(ITEMS, min_size=8, max_size=8))
@hypothesis.settings(max_examples=60, deadline=None)
def test_what_is_stored_comes_back_exactly(first: list[Any], second: list[Any]) -> None:
    with shareable(first) as items:
        other = ShareableList(name=items.shm.name)
        assert [(type(item), item) for item in items] == [(type(item), item) for item in first]
        expected = list(first)
        for position, value in enumerate(second[: len(first)]):
            try:
                items[position] = value
            except ValueError:
                continue
            expected[position] = value
        assert [(type(item), item) for item in other] == [(type(item), item) for item in expected]


@pytest.mark.parametrize("value", [[], {}, object(), 1 + 2j, Colour.RED, bytearray(b"x")])
def test_value_of_another_type_raises_and_leaves_nothing(value: Any) -> None:
    before = names_of_this_process()
    with pytest.raises(UnshareableItem, match="it takes int, float, bool, str, bytes and None"):
        ShareableList([1, value])
    assert names_of_this_process() == before
    with shareable([1]) as items:
        for error in (KeyError, TypeError):
            with pytest.raises(error):
                items[0] = value
        assert items[0] == 1


@pytest.mark.parametrize("value", [2**63, -(2**63) - 1])
def test_too_great_an_integer_raises_and_leaves_nothing(value: int) -> None:
    before = names_of_this_process()
    with pytest.raises(struct.error, match=f"{value} does not fit into 64 bits"):
        ShareableList([value])
    assert names_of_this_process() == before


def test_too_long_a_value_raises() -> None:
    with pytest.raises(ValueError, match="10000000 bytes: a ShareableList takes 9999999 at most"):
        ShareableList([bytes(10_000_000)])
    with shareable([b"\1" * 9_999_991]) as items:
        assert items[0] == b"\1" * 9_999_991


def test_list_can_be_named_attached_to_and_copied() -> None:
    name = f"named-list-{os.getpid()}"
    with shareable(MIXED, name=name) as items, shareable(items) as copy:
        tethered = ShareableList(name=name)
        tethered[-1] = 880
        assert items[-1] == 880
        assert (copy[-1], list(copy)[:6]) == (42, MIXED[:6])
        assert copy.format == items.format
    with pytest.raises(FileNotFoundError):
        ShareableList(name=name)


@pytest.mark.parametrize("sequence", [None, [], iter([])])
def test_list_may_be_empty(sequence: Any) -> None:
    with shareable(sequence) as items:
        assert (len(items), items.format, items.count(1), list(ShareableList(name=items.shm.name))) == (0, "", 0, [])


def test_list_is_generic_and_takes_an_iterator() -> None:
    with shareable(iter("abc")) as items:
        assert list(items) == ["a", "b", "c"]
    kind: Any = ShareableList
    assert kind[int].__origin__ is ShareableList


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_pickled_list_is_the_same_list(protocol: int) -> None:
    with shareable(range(10)) as items, shareable(range(400)) as larger:
        pickled = pickle.dumps(items, protocol)
        copy = pickle.loads(pickled)
        copy[4] = "changed"
        assert items[4] == "changed"
        assert len(pickle.dumps(larger, protocol)) == len(pickled)
    with pytest.raises(FileNotFoundError):
        pickle.loads(pickled)


def test_list_goes_to_a_child_and_comes_from_one(context: SharedMemoryContext, children: Children) -> None:
    with shareable(["here", 0]) as items:
        children.start(memory_bodies.replace_item, items, 0, "there\0")
        children.join()
        assert list(items) == ["there\0", 0]
    results = context.Queue()
    keeper, theirs = context.Pipe()
    children.start(memory_bodies.make_list_and_end, results, ["made", b"\0"], theirs)
    made = results.get(timeout=PATIENCE_SECONDS)
    keeper.send("end")
    assert list(made) == ["made", b"\0"]
    made.shm.unlink()


def test_closed_list_raises() -> None:
    with shareable([1]) as items:
        items.shm.close()
        for use in (lambda: items[0], lambda: items.__setitem__(0, 2), lambda: items.format):
            with pytest.raises(ValueError, match="closed in this process"):
                use()


@pytest.mark.parametrize(
    "content",
    [
        bytes(1),
        b"\xff" * 64,
        struct.pack("q", 2**40) + bytes(64),
        struct.pack("q", -1) + bytes(64),
        struct.pack("4q", 2, 0, 80, 8) + bytes(64),
        struct.pack("3q", 1, 0, 2**40) + bytes(64),
        struct.pack("3q", 1, 5, 8) + bytes(64),
    ],
)
def test_memory_that_holds_no_list_is_refused(content: bytes) -> None:
    memory = SharedMemory(create=True, size=len(content))
    memory.buf[:] = content
    try:
        with pytest.raises(ValueError, match="holds no ShareableList"):
            ShareableList(name=memory.name)
    finally:
        memory.unlink()


def test_overwritten_item_raises_instead_of_reading_beside_it() -> None:
    with shareable([1, "text", 3]) as items:
        for nonsense in (b"9999999s", b"100000q\0", b"\xff" * 8, bytes(8)):
            struct.pack_into("8s", items.shm.buf, items._formats + 8, nonsense)
            with pytest.raises(ValueError, match=r"item 1 of .* was overwritten"):
                items[1]
        assert (items[0], items[2]) == (1, 3)


def test_standard_class_reads_ours_and_ours_its() -> None:
    values = ["ascii", b"bytes\0", 7, 2.5, None, False, "äöü"]
    with shareable(values) as items:
        its: Any = multiprocessing.shared_memory.ShareableList(name=items.shm.name)
        assert list(its) == ["ascii", b"bytes", 7, 2.5, None, False, "äöü"]
        its[0], its[2] = "by it", 8
        assert (items[0], items[2]) == ("by it", 8)
        its.shm.close()
        multiprocessing.resource_tracker.unregister(its.shm._name, "shared_memory")
    make: Any = multiprocessing.shared_memory.ShareableList
    its = make(["its", 1, b"\1\2"])
    ours: Any = ShareableList(name=its.shm.name)
    assert list(ours) == ["its", 1, b"\1\2"]
    ours[1] = "ours"
    assert its[1] == "ours"
    its.shm.close()
    its.shm.unlink()
