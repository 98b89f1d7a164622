"""The contract of Listener and Client, and of those who come with other intentions."""

import errno
import os
import select
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest

import interproc
from interproc import lobby
from interproc.connection import (
    Client,
    Connection,
    HandshakeFailed,
    Listener,
    SocketClient,
    SocketListener,
    XmlClient,
    XmlListener,
    address_type,
    arbitrary_address,
    families,
)
from interproc.context import SharedMemoryContext
from tests.conformance import listener_bodies
from tests.contexts import PATIENCE_SECONDS, Children
from tests.waiting_for import until

KEY = b"the key"
FAMILIES = [
    "AF_UNIX",
    "AF_INET",
    pytest.param("AF_INET6", marks=pytest.mark.skipif("AF_INET6" not in families, reason="no IPv6 here")),
]


@contextmanager
def in_thread(call: Callable[[], Any]) -> Iterator["Future[Any]"]:
    """Makes a call in a thread, and has it ended in the end."""
    with ThreadPoolExecutor(1) as executor:
        yield executor.submit(call)


@contextmanager
def connected(**options: Any) -> Iterator[tuple[Any, Any]]:
    """Both ends of a connection through a listener."""
    with (
        Listener(**options) as listener,
        in_thread(listener.accept) as accepted,
        Client(listener.address, authkey=options.get("authkey")) as client,
        accepted.result(PATIENCE_SECONDS) as server,
    ):
        yield server, client


def raw_client(listener: Listener) -> socket.socket:
    """A client that speaks as it likes."""
    client = socket.socket(getattr(socket, address_type(listener.address)))
    client.settimeout(PATIENCE_SECONDS)
    client.connect(listener.address)
    return client


def read_until_closed(client: socket.socket) -> bytes:
    """What the listener says until it hangs up."""
    received = b""
    try:
        while chunk := client.recv(4096):
            received += chunk
    except ConnectionResetError:  # it hung up with something of ours unread
        pass
    return received


@pytest.mark.parametrize("authkey", [None, KEY])
@pytest.mark.parametrize("family", FAMILIES)
def test_client_and_listener_talk(family: str, authkey: bytes | None) -> None:
    with connected(family=family, authkey=authkey) as (server, client):
        client.send({"a": [1, 2]})
        assert server.recv() == {"a": [1, 2]}
        offset = 5
        server.send(lambda number: number + offset)
        assert client.recv()(2) == 7
        assert isinstance(server, Connection)
        client.close()
        with pytest.raises(EOFError):
            server.recv()


@pytest.mark.parametrize("authkey", [None, KEY])
@pytest.mark.parametrize("family", FAMILIES)
def test_children_connect(context: SharedMemoryContext, children: Children, family: str, authkey: bytes | None) -> None:
    with Listener(family=family, authkey=authkey) as listener:
        for _ in range(2):
            children.start(listener_bodies.connect_and_double, listener.address, authkey)
        for number in range(2):
            with listener.accept(PATIENCE_SECONDS) as conn:
                conn.send(number)
                assert conn.recv(timeout=PATIENCE_SECONDS) == 2 * number
                conn.send(None)
        children.join()


@pytest.mark.parametrize("authkey", [None, KEY])
def test_forked_children_accept_on_one_listener(authkey: bytes | None) -> None:
    context = interproc.get_context("fork")
    children, results = Children(context), context.Queue()
    with Listener(authkey=authkey, backlog=16) as listener, ExitStack() as stack:
        if authkey:
            stack.enter_context(raw_client(listener))  # stands in the lobby while the children begin
            with pytest.raises(TimeoutError):
                listener.accept(timeout=0.01)
        for _ in range(3):
            children.start(listener_bodies.accept_and_tell, listener, results)
        for number in range(3):
            with Client(listener.address, authkey=authkey, timeout=PATIENCE_SECONDS) as conn:
                conn.send(number)
        children.join()
    assert sorted(results.get_many(3)) == [0, 1, 2]
    children.end()


def test_connection_goes_through_a_queue(context: SharedMemoryContext, children: Children) -> None:
    queue = context.Queue()
    with connected() as (server, client):
        children.start(listener_bodies.use_received, queue)
        queue.put(server)
        client.send("hello")
        assert client.recv(timeout=PATIENCE_SECONDS) == ("got", "hello")
        children.join()


@pytest.mark.parametrize("family", FAMILIES)
def test_address_is_chosen_and_told(family: str) -> None:
    with Listener(family=family) as listener:
        assert address_type(listener.address) == family
        assert listener.last_accepted is None
        with Client(listener.address), listener.accept():
            assert listener.last_accepted == ("" if family == "AF_UNIX" else listener.last_accepted)
            assert listener.last_accepted is not None
        assert address_type(arbitrary_address(family)) == family


def test_abstract_address_leaves_no_file() -> None:
    address = f"\0interproc-{os.getpid()}"
    with Listener(address) as listener, Client(listener.address) as client, listener.accept() as server:
        client.send(1)
        assert server.recv() == 1


def test_closing_removes_the_path_and_may_be_repeated() -> None:
    listener = Listener(family="AF_UNIX", authkey=KEY)
    path = Path(listener.address)
    assert path.is_socket()
    listener.close()
    listener.close()
    assert not path.exists()
    with pytest.raises(OSError, match="listener is closed"):
        listener.accept()
    with pytest.raises(OSError, match="listener is closed"):
        listener.address  # noqa: B018
    with pytest.raises(FileNotFoundError, match="nobody listens there"):
        Client(str(path))


@pytest.mark.parametrize("authkey", [None, KEY])
def test_accept_and_client_time_out(authkey: bytes | None) -> None:
    with Listener(authkey=authkey) as listener:
        for timeout in (0, -1, 0.01):
            with pytest.raises(interproc.TimeoutError):
                listener.accept(timeout)
        if authkey:
            with pytest.raises(TimeoutError, match="did not accept within the timeout"):
                Client(listener.address, authkey=authkey, timeout=0.01)


@pytest.mark.parametrize("family", FAMILIES)
def test_client_of_a_full_backlog_times_out(family: str) -> None:
    with Listener(family=family, backlog=0) as listener:
        waiting = []
        with pytest.raises(TimeoutError, match="took the connection within the timeout"):
            while True:
                waiting.append(Client(listener.address, timeout=0.05))
        assert waiting
        for conn in waiting:
            conn.close()


@pytest.mark.parametrize(
    ("arguments", "error", "text"),
    [
        ({"address": 5}, ValueError, "address type of 5 unrecognized"),
        ({"address": "x", "family": "AF_PIPE"}, ValueError, "Family AF_PIPE is not recognized: there are AF_INET"),
        ({"address": "x", "family": "AF_NONSENSE"}, ValueError, "Family AF_NONSENSE is not recognized"),
        ({"address": "x", "authkey": "text"}, TypeError, "authkey should be a byte string, not str"),
        ({"address": "/nowhere/at/all"}, FileNotFoundError, "its folder does not exist"),
        ({"address": "/tmp/" + "x" * 200}, OSError, "AF_UNIX path too long: 205 bytes, where the system takes 107"),
    ],
)
def test_bad_arguments_raise_and_name_the_value(arguments: dict[str, Any], error: type[Exception], text: str) -> None:
    for make in (Listener, Client):
        with pytest.raises(error, match=text):
            make(**arguments)


def test_address_in_use_says_whether_anybody_listens_there(tmp_path: Path) -> None:
    path = str(tmp_path / "socket")
    with Listener(path):
        with pytest.raises(OSError, match="choose another address") as caught:
            Listener(path)
        assert caught.value.errno == errno.EADDRINUSE
    with socket.socket(socket.AF_UNIX) as left:
        left.bind(path)
    with pytest.raises(OSError, match="nobody listens there any more: remove the file"):
        Listener(path)
    with pytest.raises(ConnectionRefusedError, match=r"nobody listens there \(any more\)"):
        Client(path)


@pytest.mark.parametrize(
    ("address", "family"),
    [
        (("localhost", 5), "AF_INET"),
        (("::1", 5), "AF_INET6"),
        (("::1", 5, 0, 0), "AF_INET6"),
        ("/tmp/x", "AF_UNIX"),
        ("\0x", "AF_UNIX"),
        (b"\0x", "AF_UNIX"),
        ("\\\\.\\pipe\\x", "AF_PIPE"),
    ],
)
def test_address_tells_its_family(address: object, family: str) -> None:
    assert address_type(address) == family


def test_family_without_addresses_raises() -> None:
    with pytest.raises(ValueError, match="unrecognized family 'AF_X'"):
        arbitrary_address("AF_X")
    with pytest.raises(ValueError, match="address type of b'x' unrecognized"):
        address_type(b"x")


def test_socket_listener_and_client_talk_without_a_key() -> None:
    listener = SocketListener(("localhost", 0), "AF_INET")
    with SocketClient(listener._address) as client, listener.accept() as server:
        client.send_bytes(b"plain")
        assert server.recv_bytes() == b"plain"
    listener.close()


@pytest.mark.parametrize("authkey", [None, KEY])
def test_xml_listener_and_client_talk(authkey: bytes | None) -> None:
    with XmlListener(authkey=authkey) as listener, in_thread(listener.accept) as accepted:
        with XmlClient(listener.address, authkey=authkey) as client, accepted.result(PATIENCE_SECONDS) as server:
            client.send({"text": ["ä", 1, 2.5, None, True]})
            assert server.recv() == {"text": ["ä", 1, 2.5, None, True]}
            server.send_bytes(b"plain")
            assert client.poll(PATIENCE_SECONDS)
            assert client.recv_bytes() == b"plain"
            with pytest.raises(TypeError):
                client.send(print)
        with pytest.raises(OSError, match="handle is closed"):
            server.recv()


def test_two_threads_accept_on_one_listener() -> None:
    with Listener(authkey=KEY) as listener, ThreadPoolExecutor(2) as executor:
        accepted = [executor.submit(listener.accept) for _ in range(2)]
        clients = [Client(listener.address, authkey=KEY) for _ in range(2)]
        servers = [future.result(PATIENCE_SECONDS) for future in accepted]
        for conn in (*servers, *clients):
            conn.close()


def _announcing(size: int) -> bytes:
    return struct.pack("!i", size)


GARBAGE = [
    pytest.param(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", "announced a message of 1195725856 bytes", id="http"),
    pytest.param(_announcing(257), "announced a message of 257 bytes", id="oversized"),
    pytest.param(struct.pack("!iQ", -1, 1 << 62), f"announced a message of {1 << 62} bytes", id="enormous"),
    pytest.param(_announcing(-7), "bad message length: -7", id="negative"),
    pytest.param(_announcing(0), "names no digest", id="empty"),
    pytest.param(_announcing(20) + b"x" * 20, "names no digest", id="nonsense"),
    pytest.param(_announcing(16) + b"x" * 16, "digest received was wrong", id="wrong md5"),
    pytest.param(_announcing(40) + b"{sha256}" + b"x" * 32, "digest received was wrong", id="wrong sha256"),
    pytest.param(_announcing(14) + b"{sha1}" + b"x" * 8, "names no digest", id="unknown digest"),
    pytest.param(_announcing(12) + b"#CHALLENGE#!", "names no digest", id="challenge instead of answer"),
    pytest.param(b"\0", "closed the connection before it was done", id="torn"),
    pytest.param(b"", "closed the connection before it was done", id="left at once"),
]


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize(("said", "text"), GARBAGE)
def test_garbage_is_turned_away_and_harms_nobody(said: bytes, text: str, family: str) -> None:
    with Listener(family=family, authkey=KEY, backlog=8) as listener:
        with raw_client(listener) as client:
            client.sendall(said)
            client.shutdown(socket.SHUT_WR)
            with pytest.raises(HandshakeFailed, match=text) as caught:
                listener.accept(PATIENCE_SECONDS)
            assert b"#WELCOME#" not in read_until_closed(client)
        for kind in (interproc.AuthenticationError, OSError, EOFError):
            assert isinstance(caught.value, kind)
        _next_client_is_served(listener)


def _next_client_is_served(listener: Listener) -> None:
    with (
        in_thread(lambda: Client(listener.address, authkey=KEY)) as future,
        listener.accept(PATIENCE_SECONDS) as server,
        future.result(PATIENCE_SECONDS) as client,
    ):
        client.send("next")
        assert server.recv(timeout=PATIENCE_SECONDS) == "next"


@pytest.mark.parametrize("family", FAMILIES)
def test_wrong_key_is_told_to_both_sides_and_harms_nobody(family: str) -> None:
    with Listener(family=family, authkey=KEY) as listener:
        with in_thread(lambda: Client(listener.address, authkey=b"another")) as client:
            with pytest.raises(interproc.AuthenticationError, match="the key is another one"):
                listener.accept(PATIENCE_SECONDS)
            with pytest.raises(interproc.AuthenticationError, match=r"rejected.*the key is another one"):
                client.result(PATIENCE_SECONDS)
        _next_client_is_served(listener)


def test_silent_clients_hold_up_nobody() -> None:
    with Listener(authkey=KEY, backlog=16) as listener:
        silent = [raw_client(listener) for _ in range(5)]
        for _ in range(3):
            _next_client_is_served(listener)
        for client in silent:
            client.close()


def test_silent_client_is_turned_away_in_the_end() -> None:
    with Listener(authkey=KEY, handshake_timeout=0.05) as listener, raw_client(listener) as client:
        with pytest.raises(HandshakeFailed, match=r"took longer than 0\.05 s"):
            listener.accept(PATIENCE_SECONDS)
        assert read_until_closed(client).startswith(b"\0\0\0\x3b#CHALLENGE#{sha256}")


def test_slow_client_is_let_in() -> None:
    with Listener(authkey=KEY) as listener:
        with pytest.raises(TimeoutError):
            listener.accept(timeout=0.01)
        with in_thread(lambda: Client(listener.address, authkey=KEY)) as client:
            until(lambda: select.select([listener._listener._socket], [], [], 0)[0])  # type: ignore[union-attr]
            server = None
            while server is None:  # a bit of the handshake each time
                try:
                    server = listener.accept(timeout=0)
                except interproc.TimeoutError:
                    continue
            server.close()
            client.result(PATIENCE_SECONDS).close()


def test_too_many_silent_clients_make_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lobby, "MOST_GUESTS", 3)
    with ExitStack() as stack:
        listener = stack.enter_context(Listener(authkey=KEY, backlog=16))
        for _ in range(5):
            stack.enter_context(raw_client(listener))
        for _ in range(2):
            with pytest.raises(HandshakeFailed, match="more than 3 others came"):
                listener.accept(PATIENCE_SECONDS)
        client = stack.enter_context(in_thread(lambda: Client(listener.address, authkey=KEY)))
        with pytest.raises(HandshakeFailed, match="more than 3 others came"):
            listener.accept(PATIENCE_SECONDS)
        listener.accept(PATIENCE_SECONDS).close()
        client.result(PATIENCE_SECONDS).close()


@pytest.mark.parametrize(
    ("said", "text"),
    [
        (b"", "closed the connection"),
        (_announcing(12) + b"#CHALLENGE#!", "challenge is of 1 bytes"),
        (_announcing(5) + b"hello", "b'hello' instead of a challenge: does it use an authkey"),
        (_announcing(1 << 30), "bad message length: 1073741824"),
        (_announcing(31) + b"#CHALLENGE#" + b"x" * 20 + _announcing(9) + b"#FAILURE#", "rejected"),
        (_announcing(52) + b"#CHALLENGE#{sha1}" + b"x" * 35, "names no digest"),
    ],
)
def test_listener_that_is_none_is_an_error_of_the_client(said: bytes, text: str) -> None:
    with (
        Listener() as listener,
        in_thread(lambda: Client(listener.address, authkey=KEY)) as client,
        listener.accept(PATIENCE_SECONDS) as server,
    ):
        os.write(server.fileno(), said)
        with socket.socket(fileno=os.dup(server.fileno())) as stream:
            stream.shutdown(socket.SHUT_WR)
        with pytest.raises(HandshakeFailed, match=text):
            client.result(PATIENCE_SECONDS)


def test_closing_hangs_up_on_who_was_not_let_in() -> None:
    with Listener(authkey=KEY) as listener, raw_client(listener) as client:
        with pytest.raises(TimeoutError):
            listener.accept(timeout=0.01)
        listener.close()
        read_until_closed(client)


def test_socket_timeout_of_the_listening_socket_is_not_needed_any_more() -> None:
    """Programs of the standard library set it, for want of another; `accept` goes on working."""
    with Listener(authkey=KEY) as listener:
        assert listener._listener is not None
        listener._listener._socket.settimeout(PATIENCE_SECONDS)
        _next_client_is_served(listener)


def test_default_timeout_of_sockets_does_not_reach_connections() -> None:
    socket.setdefaulttimeout(0.001)
    try:
        with connected(authkey=KEY) as (server, client):
            timer = threading.Timer(0.05, client.send, ["late"])
            timer.start()
            assert server.recv() == "late"
            timer.join()
    finally:
        socket.setdefaulttimeout(None)
