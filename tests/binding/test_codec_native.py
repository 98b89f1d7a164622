"""The native codec: tags, pickles, buffers, and messages that cannot be true."""

import mmap
import os
import pickle
import sys
from typing import Any

import numpy
import pytest

from interproc import _core
from tests.binding.helpers import in_thread, make_queue


@pytest.mark.parametrize(
    "value",
    [0, 1, -1, 255, 2**31, 2**63 - 1, -(2**63), 2**63, -(2**63) - 1, 2**64, -(2**200), 10**50],
    ids=str,
)
def test_integers_of_any_length(value: int) -> None:
    queue = make_queue()
    queue.put(value)
    queue.put_many([value, value])
    assert [queue.get(), *queue.get_many(2)] == [value] * 3


@pytest.mark.parametrize("value", ["", "a", "é", "Ā", "😀", "\0\x7f", "\ud800", "a\udfff", "x" * 70_000, "é" * 70_000])
def test_texts_of_any_width(value: str) -> None:
    queue = make_queue()
    queue.put(value)
    assert queue.get() == value


def test_put_leaves_no_copy_in_the_text() -> None:
    text = "é" * 1000
    size = sys.getsizeof(text)
    queue = make_queue()
    queue.put(text)
    assert sys.getsizeof(text) == size


@pytest.mark.parametrize("size", [0, 1, 112, 113, 1024, 1025, 4096, 4097, 65_536, 65_537, 3 << 20])
def test_pickles_and_bytes_of_any_size(size: int) -> None:
    queue = make_queue()
    for value in (b"x" * size, [b"x" * size], bytearray(size), [bytearray(size)], list(range(size // 100))):
        queue.put(value)
        assert queue.get() == value


def test_pickle_in_several_pieces_arrives_whole() -> None:
    value = [[b"x" * 70_000, str(index), bytearray(80_000)] for index in range(20)]
    queue = make_queue()
    queue.put_many([value, value])
    assert [*queue.get_many(1), queue.get()] == [value, value]


# --- buffers beside the pickle ---------------------------------------------------------------------------------------


class Exports:
    """Sends a buffer of its own."""

    def __init__(self, buffer: Any) -> None:
        self.buffer = buffer

    def __reduce_ex__(self, protocol: Any) -> tuple[Any, ...]:
        return memoryview, (pickle.PickleBuffer(self.buffer),)


def send_buffers(*buffers: Any) -> list[memoryview]:
    queue = make_queue()
    queue.put([Exports(buffer) for buffer in buffers])
    received: list[memoryview] = queue.get()
    return received


@pytest.mark.parametrize("size", [8 * 1024, 16 * 1024 + 1, 100_000, (2 << 20) - 1, 2 << 20, (5 << 20) + 3])
def test_large_buffers_travel_beside_the_pickle(size: int) -> None:
    first, second = send_buffers(bytearray(b"a" * size), bytearray(b"b" * size))
    for view, letter in ((first, b"a"), (second, b"b")):
        assert isinstance(view.obj, _core.Buffer)
        assert view == letter * size
        assert not view.readonly
        assert numpy.frombuffer(view, "u1").ctypes.data % 64 == 0
        view[0] = 0
    assert second[1] == ord("b")


def test_small_buffers_stay_inside_the_pickle() -> None:
    (view,) = send_buffers(bytearray(8 * 1024 - 1))
    assert not isinstance(view.obj, _core.Buffer)


def test_read_only_buffers_stay_read_only() -> None:
    (view,) = send_buffers(bytes(100_000))
    assert view.readonly
    assert isinstance(view.obj, _core.Buffer)
    assert view.obj.readonly
    assert len(view.obj) == 100_000


def test_fortran_order_survives_and_gaps_do_not_travel() -> None:
    array = numpy.asfortranarray(numpy.arange(90_000.0).reshape(300, 300))
    queue = make_queue()
    queue.put([array, array[::2]])
    whole, part = queue.get()
    assert whole.flags.f_contiguous
    assert numpy.array_equal(whole, array)
    assert numpy.array_equal(part, array[::2])


def test_received_buffers_outlive_everything() -> None:
    queue = make_queue()
    queue.put(numpy.full(50_000, 7.0))
    array = queue.get()
    queue.put(numpy.full(50_000, 8.0))
    queue.get()
    queue.close()
    assert (array == 7.0).all()


def test_buffers_in_pieces_share_nothing() -> None:
    queue = make_queue(max_bytes=256 * 1024)
    arrays = [numpy.full(200_000, float(index)) for index in range(3)]
    with in_thread(lambda: queue.put(arrays)):
        received = queue.get()
    received[0][...] = -1
    assert [array[0] for array in received] == [-1, 1, 2]
    assert all(array.ctypes.data % 64 == 0 for array in received)


def test_buffers_of_by_value_pickles_travel_beside_them() -> None:
    queue = make_queue()
    queue.put((lambda: "by value", Exports(bytearray(100_000))))
    function, view = queue.get()
    assert isinstance(view.obj, _core.Buffer)
    assert function() == "by value"


def test_exporter_is_free_once_put_returned() -> None:
    queue = make_queue()
    data = bytearray(100_000)
    queue.put([Exports(data)])
    data.clear()  # raises BufferError while exported
    assert queue.get()[0] == bytes(100_000)


def test_buffer_is_made_by_receiving_only() -> None:
    with pytest.raises(TypeError):
        _core.Buffer()


# --- messages that cannot be true ------------------------------------------------------------------------------------

MARK = b"<here it lies in shared memory>"
CODEC_BEFORE_BYTES = 15  # Slot in core/layout.hpp: kind, codec, ..., bytes


def put_with_codec(codec: int, payload: bytes) -> _core.QueueBase[Any]:
    """A queue with one message, under a codec that its payload does not fit."""
    segment = _core.Segment.create(virtual_bytes=1 << 20)
    queue: _core.QueueBase[Any] = _core.QueueBase(segment)
    queue.put(payload + MARK)
    with mmap.mmap(segment.fileno(), segment.size_bytes) as memory:
        at = memory.find(payload + MARK)
        memory[at - CODEC_BEFORE_BYTES] = codec
    return queue


@pytest.mark.parametrize(
    ("codec", "payload"),
    [
        (3, b""),
        (4, b"123456789"),
        (8, b""),
        (8, (2**32 - 1).to_bytes(8, "little") + bytes(8)),
        (8, (0).to_bytes(8, "little") + (2**64 - 1).to_bytes(8, "little")),
        (8, (1).to_bytes(8, "little") + bytes(8) + (2**64 - 64).to_bytes(8, "little") + bytes(8)),
        (11, b""),
        (255, b""),
    ],
)
def test_damaged_messages_raise_and_the_queue_goes_on(codec: int, payload: bytes) -> None:
    queue = put_with_codec(codec, payload)
    queue.put("next")
    with pytest.raises(OSError, match="damaged"):
        queue.get()
    assert queue.get() == "next"


@pytest.mark.parametrize(("codec", "error"), [(5, UnicodeDecodeError), (7, pickle.UnpicklingError)])
def test_damaged_contents_raise_and_the_queue_goes_on(codec: int, error: type[Exception]) -> None:
    queue = put_with_codec(codec, b"\xff\xfe")
    queue.put("next")
    with pytest.raises(error):
        queue.get()
    assert queue.get() == "next"


def test_forked_child_decodes_and_encodes() -> None:
    queue, answers = make_queue(), make_queue()
    queue.put({"for": "the child"})
    pid = os.fork()
    if pid == 0:
        answers.put([queue.get(), "from the child"])
        os._exit(0)
    assert os.waitpid(pid, 0)[1] == 0
    assert answers.get(timeout=0) == [{"for": "the child"}, "from the child"]
