"""The contract of connections over descriptors: the standard library's, with timeouts, and whole whoever uses it."""

import functools
import multiprocessing
import multiprocessing.connection
import multiprocessing.resource_sharer
import os
import pickle
import signal
import socket
import struct
import threading
from array import array
from collections.abc import Iterator
from typing import Any

import pytest

import interproc
from interproc.connection import Connection, SocketConnection, rebuild_connection, reduce_connection, wait
from tests.contexts import PATIENCE_SECONDS
from tests.waiting_for import until

Pair = tuple[Any, Any]


def _over_socket() -> Pair:
    one, other = socket.socketpair()
    return Connection(one.detach()), Connection(other.detach())


def _over_pipe() -> Pair:
    read_fd, write_fd = os.pipe()
    return Connection(write_fd, readable=False), Connection(read_fd, writable=False)


def _with_standard_sender() -> Pair:
    one, other = socket.socketpair()
    return multiprocessing.connection.Connection(one.detach()), Connection(other.detach())


def _with_standard_receiver() -> Pair:
    one, other = socket.socketpair()
    return Connection(one.detach()), multiprocessing.connection.Connection(other.detach())


@pytest.fixture(params=[_over_socket, _over_pipe])
def pair(request: pytest.FixtureRequest) -> Iterator[Pair]:
    """One that sends and one that receives."""
    sender, receiver = request.param()
    with sender, receiver:
        yield sender, receiver


@pytest.fixture
def sockets() -> Iterator[tuple[socket.socket, Any]]:
    """A bare socket, and a connection over its peer."""
    bare, other = socket.socketpair()
    with bare, Connection(other.detach()) as connection:
        yield bare, connection


@pytest.mark.parametrize("size", [0, 1, 1000, 16 * 1024, 16 * 1024 + 1, 5_000_000])
@pytest.mark.parametrize("make", [_over_socket, _over_pipe, _with_standard_sender, _with_standard_receiver])
def test_messages_of_every_size_arrive(make: Any, size: int) -> None:
    sender, receiver = make()
    with sender, receiver:
        data = os.urandom(64) * (size // 64) + bytes(size % 64)
        thread = threading.Thread(target=sender.send_bytes, args=(data,))
        thread.start()
        assert receiver.recv_bytes() == data
        thread.join()
        sender.send([data[:100], {"x": size}])
        assert receiver.recv() == [data[:100], {"x": size}]


def test_length_of_eight_bytes_is_understood(sockets: Any) -> None:
    bare, connection = sockets
    bare.sendall(struct.pack("!iQ", -1, 5) + b"hello")
    assert connection.recv_bytes() == b"hello"


def test_lambdas_go_and_what_cannot_go_is_named(pair: Pair) -> None:
    sender, receiver = pair
    sender.send(lambda: 42)
    assert receiver.recv()() == 42
    with pytest.raises(interproc.UnsendableError, match=r"obj\['lock'\] cannot be sent"):
        sender.send({"lock": threading.Lock()})
    sender.send("usable")
    assert receiver.recv() == "usable"


def test_parts_of_buffers_are_sent_and_received_in_place(pair: Pair) -> None:
    sender, receiver = pair
    sender.send_bytes(b"0123456789", 3)
    sender.send_bytes(b"0123456789", 3, 4)
    sender.send_bytes(memoryview(array("d", [1.5, 2.5])), 8)
    assert [receiver.recv_bytes() for _ in range(2)] == [b"3456789", b"3456"]
    doubles = array("d", [0, 0])
    assert receiver.recv_bytes_into(doubles, 8) == 8
    assert list(doubles) == [0, 2.5]
    sender.send_bytes(b"too long")
    with pytest.raises(interproc.BufferTooShort) as caught:
        receiver.recv_bytes_into(bytearray(3))
    assert caught.value.args == (b"too long",)
    for offset, text in ((-1, "negative offset"), (4, "offset too large")):
        with pytest.raises(ValueError, match=text):
            receiver.recv_bytes_into(bytearray(3), offset)
    for offset, size, text in (
        (-1, None, "offset is negative"),
        (11, None, "<"),
        (0, -1, "size is negative"),
        (5, 6, "<"),
    ):
        with pytest.raises(ValueError, match=text):
            sender.send_bytes(b"0123456789", offset, size)
    with pytest.raises(ValueError, match="negative maxlength"):
        receiver.recv_bytes(-1)


def test_message_beyond_maxlength_is_dropped_alone(pair: Pair) -> None:
    sender, receiver = pair
    sender.send_bytes(b"12345" * 1000)
    sender.send_bytes(b"1234")
    with pytest.raises(OSError, match="bad message length: 5000, and 4 are allowed"):
        receiver.recv_bytes(4)
    assert receiver.recv_bytes(4) == b"1234"


def test_receiving_times_out_and_goes_on_where_it_was(sockets: Any) -> None:
    bare, connection = sockets
    for part in (b"\0\0", b"\0\5he", b"ll"):
        bare.sendall(part)
        with pytest.raises(TimeoutError):
            connection.recv_bytes(timeout=0.01)
        with pytest.raises(interproc.TimeoutError):
            connection.recv(timeout=0)
    with pytest.raises(OSError, match="while half of a message has been received"):
        pickle.dumps(connection)
    bare.sendall(b"o")
    assert connection.recv_bytes(timeout=PATIENCE_SECONDS) == b"hello"


def test_interrupted_receive_goes_on_where_it_was(sockets: Any) -> None:
    bare, connection = sockets

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGALRM, interrupt)
    try:
        bare.sendall(b"\0\0\0\5he")
        signal.setitimer(signal.ITIMER_REAL, 0.05)
        with pytest.raises(KeyboardInterrupt):
            connection.recv_bytes()
        bare.sendall(b"llo")
        assert connection.recv_bytes() == b"hello"
    finally:
        signal.signal(signal.SIGALRM, before)


def test_send_that_times_out_before_the_message_harms_nothing(pair: Pair) -> None:
    sender, receiver = pair
    sent = 0
    with pytest.raises(TimeoutError):
        while True:
            sender.send_bytes(b"z" * 4000, timeout=0.01)  # little enough for the system to take all or nothing
            sent += 1
    assert sent
    assert {receiver.recv_bytes() for _ in range(sent)} == {b"z" * 4000}
    sender.send_bytes(b"next")
    assert receiver.recv_bytes() == b"next"


def test_send_that_times_out_inside_a_message_ends_the_sending(pair: Pair) -> None:
    sender, receiver = pair
    with pytest.raises(TimeoutError):
        sender.send_bytes(bytes(10_000_000), timeout=0.05)
    with pytest.raises(BrokenPipeError, match="stopped inside of a message"):
        sender.send(1)
    sender.close()
    with pytest.raises(OSError, match="end of file during message"):
        receiver.recv_bytes()


def test_interrupted_send_is_noticed_if_it_tore_the_message(pair: Pair) -> None:
    sender, receiver = pair

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGALRM, interrupt)
    try:
        signal.setitimer(signal.ITIMER_REAL, 0.05)
        with pytest.raises(KeyboardInterrupt):
            sender.send_bytes(bytes(10_000_000))
    finally:
        signal.signal(signal.SIGALRM, before)
    with pytest.raises(BrokenPipeError, match="stopped inside of a message"):
        sender.send(1)
    sender.close()
    with pytest.raises(OSError, match="end of file during message"):
        receiver.recv_bytes()


def test_end_of_file_and_lost_peers_are_told(pair: Pair) -> None:
    sender, receiver = pair
    sender.send(1)
    sender.close()
    assert receiver.poll()
    assert receiver.recv() == 1
    with pytest.raises(EOFError):
        receiver.recv()
    for make in (_over_socket, _over_pipe):
        sender, receiver = make()
        receiver.close()
        with pytest.raises(BrokenPipeError):
            sender.send(1)
        sender.close()


def test_poll_and_wait_tell_whether_something_came(pair: Pair) -> None:
    sender, receiver = pair
    assert not receiver.poll()
    assert not receiver.poll(0.01)
    assert wait([receiver], 0) == []
    sender.send(1)
    assert receiver.poll(None)
    assert wait([receiver], PATIENCE_SECONDS) == [receiver]


def test_threads_keep_messages_whole(pair: Pair) -> None:
    sender, receiver = pair
    messages = [bytes([index]) * 100_000 for index in range(4)]
    received: list[bytes] = []

    def send(message: bytes) -> None:
        for _ in range(5):
            sender.send_bytes(message)

    threads = [threading.Thread(target=send, args=(message,)) for message in messages]
    threads += [
        threading.Thread(target=lambda: received.extend(receiver.recv_bytes() for _ in range(10))) for _ in "ab"
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(received) == sorted(messages * 5)


def test_timeout_covers_the_wait_for_another_thread(pair: Pair) -> None:
    sender, receiver = pair
    thread = threading.Thread(target=receiver.recv)
    thread.start()
    until(functools.partial(receiver._recv_lock._lock.locked))
    with pytest.raises(TimeoutError, match="another thread"):
        receiver.recv(timeout=0.01)
    sender.send(1)
    thread.join()


@pytest.mark.parametrize(("readable", "writable"), [(True, True), (True, False), (False, True)])
def test_directions_are_kept_also_through_a_pickle(readable: bool, writable: bool) -> None:
    one, other = socket.socketpair()
    other.close()
    with Connection(one.detach(), readable, writable) as connection:
        rebuild, arguments = reduce_connection(connection)
        assert rebuild is rebuild_connection
        with rebuild(*arguments) as copy:
            for each in (connection, copy):
                assert (each.readable, each.writable, each.closed) == (readable, writable, False)
        if not readable:
            for use in (connection.recv, connection.recv_bytes, connection.poll):
                with pytest.raises(OSError, match="connection is write-only"):
                    use()
        if not writable:
            with pytest.raises(OSError, match="connection is read-only"):
                connection.send(1)
    multiprocessing.resource_sharer.stop(timeout=PATIENCE_SECONDS)


def test_closed_connection_raises(pair: Pair) -> None:
    sender, receiver = pair
    for connection in pair:
        connection.close()
        connection.close()
        assert connection.closed
    for use in (receiver.recv, receiver.poll, sender.fileno, functools.partial(sender.send, 1)):
        with pytest.raises(OSError, match="handle is closed"):
            use()
    with pytest.raises(OSError, match="handle is closed"):
        pickle.dumps(sender)


def test_connection_of_a_descriptor_is_a_connection_of_both_packages() -> None:
    one, other = _over_socket()
    with one, other:
        assert isinstance(one, (SocketConnection, Connection))
        assert isinstance(one, Connection)
        assert isinstance(one, multiprocessing.connection.Connection)
    end, _far = interproc.Pipe()
    assert isinstance(end, Connection)
    assert not isinstance(end, SocketConnection)


@pytest.mark.parametrize("arguments", [(-1,), (0, False, False)])
def test_impossible_connection_raises(arguments: Any) -> None:
    with pytest.raises(ValueError, match=r"handle|readable"):
        Connection(*arguments)
    with pytest.raises((TypeError, AttributeError)):
        Connection("text")


def test_descriptor_that_is_not_open_raises_when_used() -> None:
    connection: Any = Connection(44977608)
    with pytest.raises(OSError, match="Bad file descriptor"):
        connection.recv()
    connection._handle = None  # or it would be closed, which fails


def test_negative_length_raises(sockets: Any) -> None:
    bare, connection = sockets
    bare.sendall(struct.pack("!i", -2))
    with pytest.raises(OSError, match="bad message length: -2"):
        connection.recv_bytes()


def test_enormous_length_takes_no_memory_before_it_comes(sockets: Any) -> None:
    bare, connection = sockets
    bare.sendall(struct.pack("!iQ", -1, 1 << 60) + b"x" * 100)
    bare.close()
    with pytest.raises(OSError, match="end of file during message"):
        connection.recv()
