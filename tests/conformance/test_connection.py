"""The contract of Connection as far as one process shows it."""

import gc
import pickle
import socket
import threading
from array import array
from collections.abc import Callable
from typing import Any

import numpy
import pytest

import interproc
from interproc.connection import Connection, Pipe


def test_simplex_pipe_goes_from_the_second_to_the_first() -> None:
    reader, writer = Pipe(duplex=False)
    assert (reader.readable, reader.writable) == (True, False)
    assert (writer.readable, writer.writable) == (False, True)
    writer.send("one way")
    assert reader.recv() == "one way"
    with pytest.raises(OSError, match="connection is read-only"):
        reader.send(1)
    with pytest.raises(OSError, match="connection is write-only"):
        writer.recv()
    with pytest.raises(OSError, match="connection is write-only"):
        writer.poll()


def test_objects_and_bytes_mix() -> None:
    one, other = Pipe()
    one.send_bytes(pickle.dumps(["pickled", 1]))
    assert other.recv() == ["pickled", 1]
    for value in (["as bytes", 2], "text", 7, b"raw", None):
        one.send(value)
        assert pickle.loads(other.recv_bytes()) == value


def test_send_bytes_takes_any_contiguous_buffer() -> None:
    one, other = Pipe()
    buffers: list[Any] = [b"abc", bytearray(b"abc"), memoryview(b"abc"), array("d", [1, 2]), numpy.arange(5)]
    for buffer in buffers:
        one.send_bytes(buffer)
        assert other.recv_bytes() == bytes(buffer)


def test_send_bytes_sends_the_part_that_was_asked_for() -> None:
    one, other = Pipe()
    one.send_bytes(b"0123456789", 3)
    one.send_bytes(b"0123456789", 3, 4)
    one.send_bytes(b"0123456789", 10)
    one.send_bytes(b"0123456789", 0, 0)
    assert [other.recv_bytes() for _ in range(4)] == [b"3456789", b"3456", b"", b""]


@pytest.mark.parametrize(
    ("offset", "size", "text"),
    [
        (-1, None, "offset is negative"),
        (11, None, "buffer length < offset"),
        (0, -1, "size is negative"),
        (5, 6, "buffer length < offset"),
    ],
)
def test_send_bytes_refuses_parts_outside_of_the_buffer(offset: int, size: int | None, text: str) -> None:
    one, other = Pipe()
    with pytest.raises(ValueError, match=text):
        one.send_bytes(b"0123456789", offset, size)
    assert not other.poll()


def test_recv_bytes_into_fills_the_buffer() -> None:
    one, other = Pipe()
    buffer = bytearray(10)
    one.send_bytes(b"abc")
    assert other.recv_bytes_into(buffer) == 3
    one.send_bytes(b"xyz")
    assert other.recv_bytes_into(buffer, 5) == 3
    assert buffer == b"abc\0\0xyz\0\0"
    doubles = array("d", [0, 0])
    one.send_bytes(array("d", [1.5]))
    assert other.recv_bytes_into(doubles, 8) == 8
    assert list(doubles) == [0, 1.5]


def test_recv_bytes_into_a_buffer_too_short_hands_the_message_over() -> None:
    one, other = Pipe()
    one.send_bytes(b"too long")
    with pytest.raises(interproc.BufferTooShort) as caught:
        other.recv_bytes_into(bytearray(3))
    assert caught.value.args == (b"too long",)
    one.send_bytes(b"ok")
    assert other.recv_bytes() == b"ok"
    with pytest.raises(ValueError, match="negative offset"):
        other.recv_bytes_into(bytearray(3), -1)
    with pytest.raises(ValueError, match="offset too large"):
        other.recv_bytes_into(bytearray(3), 4)


def test_recv_bytes_beyond_maxlength_drops_that_message_only() -> None:
    one, other = Pipe()
    one.send_bytes(b"12345")
    one.send_bytes(b"123")
    with pytest.raises(OSError, match="bad message length"):
        other.recv_bytes(4)
    assert other.recv_bytes(4) == b"123"
    with pytest.raises(ValueError, match="negative maxlength"):
        other.recv_bytes(-1)


def test_poll_tells_whether_something_came() -> None:
    one, other = Pipe()
    assert not other.poll()
    assert not other.poll(0.01)
    one.send(1)
    assert other.poll()
    assert other.poll(None)
    other.recv()
    assert not other.poll(-1)
    one.close()
    assert other.poll()


def test_receive_times_out() -> None:
    one, _other = Pipe()
    for receive in (one.recv, one.recv_bytes):
        with pytest.raises(TimeoutError):
            receive(timeout=0.01)
        with pytest.raises(interproc.TimeoutError):
            receive(timeout=0)


def test_send_times_out_when_nobody_receives() -> None:
    reader, writer = Pipe(duplex=False)
    sent = 0
    with pytest.raises(TimeoutError):
        while True:
            writer.send(sent, timeout=0.01)
            sent += 1
    assert [reader.recv() for _ in range(sent)] == list(range(sent))


def test_many_are_sent_and_received_at_once() -> None:
    one, other = Pipe()
    one.send_many(range(100))
    received: list[int] = []
    while len(received) < 100:
        received += other.recv_many(30)
    assert received == list(range(100))


@pytest.mark.parametrize(
    "use",
    [
        lambda connection: connection.send(1),
        lambda connection: connection.recv(),
        lambda connection: connection.send_bytes(b""),
        lambda connection: connection.recv_bytes(),
        lambda connection: connection.poll(),
        lambda connection: connection.fileno(),
        pickle.dumps,
    ],
)
def test_closed_connection_raises_os_error(use: Callable[[Connection], object]) -> None:
    one, _other = Pipe()
    one.close()
    one.close()
    assert one.closed
    with pytest.raises(OSError, match="handle is closed"):
        use(one)


def test_with_statement_closes() -> None:
    one, other = Pipe()
    with one as connection:
        assert not connection.closed
    assert one.closed
    with pytest.raises(EOFError):
        other.recv()


def test_dropped_end_is_a_closed_end() -> None:
    one, other = Pipe()
    one.send("last words")
    del one
    gc.collect()
    assert other.recv() == "last words"
    with pytest.raises(EOFError):
        other.recv()
    with pytest.raises(BrokenPipeError):
        other.send(1)


def test_threads_on_one_end_keep_messages_whole() -> None:
    one, other = Pipe()
    messages = [bytes([index]) * 100_000 for index in range(8)]

    def send(message: bytes) -> None:
        for _ in range(10):
            one.send_bytes(message)

    senders = [threading.Thread(target=send, args=(message,)) for message in messages]
    received: list[bytes] = []
    receivers = [
        threading.Thread(target=lambda: received.extend(other.recv_bytes() for _ in range(20))) for _ in range(4)
    ]
    for thread in senders + receivers:
        thread.start()
    for thread in senders + receivers:
        thread.join()
    assert sorted(received) == sorted(messages * 10)


def test_connection_of_a_descriptor_speaks_the_standard_wire_format() -> None:
    one, other = socket.socketpair()
    with one, Connection(other.detach()) as connection:
        one.sendall(b"\0\0\0\5hello")
        assert connection.recv_bytes() == b"hello"
    for nonsense in (-1, "text"):
        with pytest.raises((ValueError, AttributeError)):
            Connection(nonsense)
