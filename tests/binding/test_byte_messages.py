"""Bytes over connections: viewed where they lie, received into memory of one's own, sent from any buffer."""

import array
import ctypes
import gc
import hashlib
import mmap
import os
import pickle
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest

import interproc
from interproc.connection import Connection

KIB = 1 << 10
MIB = 1 << 20
PRIVATE = mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS  # nothing is there before it is written
SIZES = [0, 1, 100, 1000, 16 * KIB, 64 * KIB, MIB // 2, 5 * MIB]


@contextmanager
def opened_pipe() -> Iterator[tuple[Connection, Connection]]:
    receiver, sender = interproc.Pipe(duplex=False)
    with receiver, sender:
        yield receiver, sender


def content(size: int) -> bytes:
    return (bytes(range(251)) * (size // 251 + 1))[:size]


def sending(sender: Connection, *arguments: Any) -> threading.Thread:
    """Large messages need somebody to receive them meanwhile."""
    thread = threading.Thread(target=sender.send_bytes, args=arguments)
    thread.start()
    return thread


@pytest.mark.parametrize("size", SIZES)
def test_a_view_shows_the_message_and_is_the_callers_own(size: int) -> None:
    with opened_pipe() as (receiver, sender):
        thread = sending(sender, content(size))
        view = receiver.recv_view()
        thread.join()
        assert type(view) is memoryview
        assert not view.readonly
        assert (view.nbytes, view.format, view.ndim) == (size, "B", 1)
        assert view == content(size)
        view[:] = bytes(size)
        sender.send_bytes(b"next")
        assert receiver.recv_bytes() == b"next"
        assert view == bytes(size)


def test_a_view_lies_in_the_senders_block_until_the_last_use_of_it() -> None:
    with opened_pipe() as (receiver, sender):
        sender.send_bytes(content(500 * KIB))
        view = receiver.recv_view()
        seen = receiver.statistics()["receiving"]
        assert (seen["views"], seen["viewed_bytes"], seen["blocks_taken"]) == (1, 500 * KIB, 1)
        assert seen["copied_bytes"] == 500 * KIB
        numbers = np.frombuffer(view, np.uint8)
        view.release()
        gc.collect()
        assert numbers.tobytes() == content(500 * KIB)
        del numbers
        assert receiver.statistics()["receiving"]["blocks_used"] == 0


def test_a_view_outlives_the_connection() -> None:
    receiver, sender = interproc.Pipe()
    sender.send_bytes(content(100 * KIB))
    view = receiver.recv_view()
    receiver.close()
    sender.close()
    del receiver, sender
    gc.collect()
    assert view == content(100 * KIB)


def test_who_keeps_all_views_gets_copies_and_starves_nobody() -> None:
    with opened_pipe() as (receiver, sender):
        kept = []
        for i in range(200):
            sender.send_bytes(bytes([i]) * 200_000)
            kept.append(receiver.recv_view())
        assert all(view[0] == view[-1] == i for i, view in enumerate(kept))


def test_views_of_objects_are_their_pickles() -> None:
    with opened_pipe() as (receiver, sender):
        obj: Any
        for obj in (1, {"a": 2}, np.arange(10_000), b"x" * 100_000):
            sender.send(obj)
            assert np.array_equal(pickle.loads(receiver.recv_view()), obj)


def test_views_keep_the_limits_of_recv_bytes() -> None:
    with opened_pipe() as (receiver, sender):
        sender.send_bytes(b"x" * 30_000)
        with pytest.raises(OSError, match="30000 bytes came, maxlength is 29999"):
            receiver.recv_view(29_999)
        sender.send_bytes(b"x" * 30_000)
        assert len(receiver.recv_view(maxlength=30_000)) == 30_000
        with pytest.raises(ValueError, match="negative"):
            receiver.recv_view(-1)
        with pytest.raises(TimeoutError):
            receiver.recv_view(timeout=0.01)
        with pytest.raises(OSError, match="write-only"):
            sender.recv_view()
        sender.close()
        with pytest.raises(EOFError):
            receiver.recv_view()
        receiver.close()
        with pytest.raises(OSError, match="closed"):
            receiver.recv_view()


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("offset", [0, 7])
def test_into_a_buffer_of_ones_own(size: int, offset: int) -> None:
    with opened_pipe() as (receiver, sender):
        buffer = bytearray(b"-" * (size + offset + 3))
        thread = sending(sender, content(size))
        assert receiver.recv_bytes_into(buffer, offset) == size
        thread.join()
        assert bytes(buffer) == b"-" * offset + content(size) + b"---"


@pytest.mark.parametrize("size", [1, 1000, 100 * KIB, 3 * MIB])
def test_what_does_not_fit_comes_with_the_exception_and_is_consumed(size: int) -> None:
    with opened_pipe() as (receiver, sender):
        buffer = bytearray(size - 1)
        thread = sending(sender, content(size))
        with pytest.raises(interproc.BufferTooShort) as caught:
            receiver.recv_bytes_into(buffer)
        thread.join()
        assert caught.value.args == (content(size),)
        sender.send_bytes(b"")
        assert receiver.recv_bytes_into(buffer) == 0


@pytest.mark.parametrize(("offset", "text"), [(-1, "negative offset"), (11, "offset too large")])
def test_offsets_outside_the_buffer_are_refused(offset: int, text: str) -> None:
    with opened_pipe() as (receiver, sender):
        sender.send_bytes(b"abc")
        with pytest.raises(ValueError, match=text):
            receiver.recv_bytes_into(bytearray(10), offset)
        with pytest.raises(TypeError):
            receiver.recv_bytes_into(b"read-only")
        assert receiver.recv_bytes() == b"abc"


def test_a_timeout_half_through_a_long_message_loses_nothing() -> None:
    with opened_pipe() as (receiver, sender):
        thread = sending(sender, content(8 * MIB))
        buffer = bytearray(8 * MIB)
        size = None
        while size is None:
            try:
                size = receiver.recv_bytes_into(buffer, timeout=0)
            except TimeoutError:
                buffer[:16] = b"\xff" * 16  # what came before is kept elsewhere
        thread.join()
        assert size == 8 * MIB
        assert hashlib.sha256(buffer).digest() == hashlib.sha256(content(8 * MIB)).digest()


def test_every_contiguous_buffer_can_be_sent() -> None:
    with opened_pipe() as (receiver, sender):
        mapped = mmap.mmap(-1, 4096)
        mapped[:5] = b"hello"
        lent = sender.empty_buffer(100_000)
        memoryview(lent)[:] = content(100_000)
        matrix: Any = np.arange(12.0).reshape(3, 4)
        buffer: Any
        for buffer in (
            b"bytes",
            bytearray(b"array"),
            memoryview(b"view"),
            array.array("d", [1, 2, 3]),
            matrix,
            matrix[1:],
            np.array(5),
            memoryview(matrix),
            mapped,
            (ctypes.c_int * 5)(1, 2, 3, 4, 5),
            pickle.PickleBuffer(b"pickled"),
            lent,
        ):
            sender.send_bytes(buffer)
            assert receiver.recv_bytes() == bytes(memoryview(buffer))
        mapped.close()
        for buffer in (matrix.T, matrix[:, 1:], "text", 5, None):
            with pytest.raises((TypeError, BufferError, ValueError)):
                sender.send_bytes(buffer)
        sender.send_bytes(matrix, 8, 16)
        assert receiver.recv_bytes() == matrix.tobytes()[8:24]


@pytest.mark.skipif(not os.environ.get("INTERPROC_HUGE"), reason="sends more than 4 GiB: set INTERPROC_HUGE=1")
def test_more_than_four_gibibytes_go_through_in_pieces() -> None:
    size = (4 << 30) + 12_345
    receiver, sender = interproc.Pipe(duplex=False)
    with receiver, sender, mmap.mmap(-1, size, PRIVATE) as source, mmap.mmap(-1, size, PRIVATE) as destination:
        marks = {0: b"first", (4 << 30) - 3: b"across", size - 4: b"last", 3 << 30: b"third"}
        for at, mark in marks.items():
            source[at : at + len(mark)] = mark
        thread = sending(sender, source)
        assert receiver.recv_bytes_into(destination) == size
        thread.join()
        for at, mark in marks.items():
            assert destination[at : at + len(mark)] == mark
        seen = receiver.statistics()["receiving"]
        assert (seen["streams"], seen["bytes_in"]) == (1, size)
        assert seen["resident_bytes"] < 4 * MIB
