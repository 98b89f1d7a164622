"""Small containers of plain values, which travel without pickle; what pickle would keep is kept."""

import enum
import pickle
from collections import OrderedDict, namedtuple
from typing import Any

import pytest

from interproc.connection import Pipe
from tests.binding.helpers import make_queue
from tests.binding.test_codec_native import put_with_codec

COMPACT = 10

Point = namedtuple("Point", "x y")  # a subclass of tuple without annotations


class Colour(enum.IntEnum):
    """A subclass of int."""

    RED = 1


def nested(levels: int) -> list[Any]:
    """A list in a list in a list ..."""
    value: list[Any] = []
    for _ in range(levels - 1):
        value = [value]
    return value


def travel(value: Any) -> Any:
    """Sends a value alone and in a batch; returns what came of it."""
    queue = make_queue()
    queue.put(value)
    queue.put_many([value, value])
    first, second, third = queue.get(), *queue.get_many(2)
    assert repr(first) == repr(second) == repr(third)
    return first


@pytest.mark.parametrize(
    "value",
    [
        (),
        [],
        {},
        (None, True, False, 0, -1, 2**63 - 1, -(2**63), 1.5, float("inf"), "", "text", "é", "😀", b"", b"\0\xff"),
        {"id": 17, "name": "sensor", 3: None, 2.5: "value", None: (), b"key": [1], ("a", 1): {"deep": ["er"]}},
        [2**63, -(2**200)],
        ["\ud800"],
        [bytearray(3)],
        {1, 2},
        [Point(1, 2), OrderedDict(a=1), Colour.RED],
        list(range(255)),
        list(range(256)),
        {str(number): number for number in range(300)},
        ["x" * 900],
        ["x" * 1100],
        [b"x" * 70_000],
        nested(8),
        nested(9),
        nested(40),
    ],
    ids=lambda value: repr(value)[:30],
)
def test_round_trip(value: Any) -> None:
    received = travel(value)
    assert type(received) is type(value)
    assert received == value
    assert [type(item) for item in received] == [type(item) for item in value]


def test_order_of_a_dict_is_kept() -> None:
    value = dict.fromkeys("the quick brown fox")
    assert list(travel(value)) == list(value)


def test_negative_zero_and_nan_are_kept() -> None:
    assert repr(travel([-0.0, float("nan")])) == "[-0.0, nan]"


def test_what_was_one_object_stays_one() -> None:
    inner: list[int] = []
    first, second = travel([inner, inner])
    assert first is second
    circle: list[Any] = []
    circle.append(circle)
    received = travel(circle)
    assert received[0] is received


def test_receivers_get_their_own() -> None:
    queue = make_queue()
    value = [[1]]
    queue.put(value)
    value[0].append(2)
    assert queue.get() == [[1]]


def test_batch_larger_than_the_scratch_memory() -> None:
    values = [{"text": "x" * 200, "number": number} for number in range(500)]
    queue = make_queue()
    queue.put_many(values)
    received: list[Any] = []
    while len(received) < len(values):
        received += queue.get_many(len(values))
    assert received == values


def test_recv_bytes_gives_a_pickle() -> None:
    receiver, sender = Pipe(duplex=False)
    with receiver, sender:
        sender.send({"a": [1, 2.5]})
        assert pickle.loads(receiver.recv_bytes()) == {"a": [1, 2.5]}
        sender.send_bytes(pickle.dumps({"a": 1}))
        assert receiver.recv() == {"a": 1}


TUPLE, LIST, DICT = b"\x08", b"\x09", b"\x0a"


@pytest.mark.parametrize(
    "payload",
    [
        b"",
        b"\xff",
        b"\x00",
        TUPLE + b"\xff",
        LIST + b"\x01\x06\xff\xff",
        LIST + b"\xff" + b"\x00" * 3,
        DICT + b"\x02\x00\x00\x00",
        (LIST + b"\x01") * 20,
        LIST + b"\x01\x03",
    ],
)
def test_damaged_containers_raise_and_the_queue_goes_on(payload: bytes) -> None:
    queue = put_with_codec(COMPACT, payload)
    queue.put("next")
    with pytest.raises(OSError, match="damaged"):
        queue.get()
    assert queue.get() == "next"


def test_damaged_keys_and_texts_raise_and_the_queue_goes_on() -> None:
    for payload, error in ((DICT + b"\x01" + LIST + b"\x00\x00", TypeError), (b"\x05\x01\x00\xff", UnicodeDecodeError)):
        queue = put_with_codec(COMPACT, payload)
        queue.put("next")
        with pytest.raises(error):
            queue.get()
        assert queue.get() == "next"
