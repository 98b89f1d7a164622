"""The handshake and the wire format, against the standard library of every Python that is here."""

import hashlib
import hmac
import multiprocessing.connection
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import interproc
from interproc import handshake
from interproc.connection import Client, HandshakeFailed, Listener, answer_challenge, deliver_challenge
from tests.conformance.test_listeners import in_thread
from tests.contexts import PATIENCE_SECONDS
from tests.programs import VERSIONS, python_of, running

KEY = b"the key"
STANDARD_LISTENER = """
import multiprocessing, sys
from multiprocessing.connection import Listener
with Listener(family=sys.argv[1], authkey=sys.argv[2].encode() or None) as listener:
    print(repr(listener.address), flush=True)
    try:
        with listener.accept() as conn:
            conn.send(["from", sys.version_info[:2], b"x" * 100_000])
            print(conn.recv(), flush=True)
            conn.send_bytes(conn.recv_bytes())
    except multiprocessing.AuthenticationError as error:
        print(type(error).__name__, flush=True)
"""
STANDARD_CLIENT = """
import ast, multiprocessing, sys
from multiprocessing.connection import Client
try:
    with Client(ast.literal_eval(sys.argv[1]), authkey=sys.argv[2].encode() or None) as conn:
        conn.send(["from", sys.version_info[:2], b"x" * 100_000])
        print(conn.recv(), flush=True)
        conn.send_bytes(conn.recv_bytes())
except multiprocessing.AuthenticationError as error:
    print(type(error).__name__, flush=True)
"""


@pytest.fixture(params=VERSIONS)
def standard_python(request: pytest.FixtureRequest) -> Path:
    """A Python of a version, whose standard library is the peer."""
    found = python_of(request.param)
    if found is None:
        pytest.skip(f"there is no Python {request.param} here")
    return found


def _talk(conn: Any, standard_python: Path) -> None:
    word, version, data = conn.recv(timeout=PATIENCE_SECONDS)
    assert (word, data) == ("from", b"x" * 100_000)
    assert standard_python.name == "python{}.{}".format(*version)
    conn.send({"answer": 42})
    conn.send_bytes(b"y" * 1_000_000)
    assert conn.recv_bytes(timeout=PATIENCE_SECONDS) == b"y" * 1_000_000


@pytest.mark.parametrize("authkey", [b"", KEY])
@pytest.mark.parametrize("family", ["AF_UNIX", "AF_INET"])
def test_our_client_talks_with_a_standard_listener(standard_python: Path, family: str, authkey: bytes) -> None:
    with running(STANDARD_LISTENER, family, authkey.decode(), python=standard_python) as program:
        address = _literal(program.read_line())
        with Client(address, authkey=authkey or None, timeout=PATIENCE_SECONDS) as conn:
            _talk(conn, standard_python)
            assert program.end() == "{'answer': 42}\n"


@pytest.mark.parametrize("authkey", [b"", KEY])
@pytest.mark.parametrize("family", ["AF_UNIX", "AF_INET"])
def test_standard_client_talks_with_our_listener(standard_python: Path, family: str, authkey: bytes) -> None:
    with (
        Listener(family=family, authkey=authkey or None) as listener,
        running(STANDARD_CLIENT, repr(listener.address), authkey.decode(), python=standard_python) as program,
        listener.accept(PATIENCE_SECONDS) as conn,
    ):
        _talk(conn, standard_python)
        assert program.end() == "{'answer': 42}\n"


def test_wrong_key_between_our_client_and_a_standard_listener(standard_python: Path) -> None:
    with running(STANDARD_LISTENER, "AF_UNIX", "another", python=standard_python) as program:
        with pytest.raises(interproc.AuthenticationError, match="rejected"):
            Client(_literal(program.read_line()), authkey=KEY, timeout=PATIENCE_SECONDS)
        assert program.end() == "AuthenticationError\n"


def test_wrong_key_between_a_standard_client_and_our_listener(standard_python: Path) -> None:
    with (
        Listener(authkey=KEY) as listener,
        running(STANDARD_CLIENT, repr(listener.address), "another", python=standard_python) as program,
    ):
        with pytest.raises(HandshakeFailed, match="digest received was wrong"):
            listener.accept(PATIENCE_SECONDS)
        assert program.end() == "AuthenticationError\n"


def _literal(text: str) -> Any:
    import ast

    return ast.literal_eval(text)


@pytest.fixture
def pair() -> Any:
    """Two standard connections that are each other's peer."""
    one, other = multiprocessing.connection.Pipe()
    with one, other:
        yield one, other


def test_functions_work_over_standard_connections_and_with_standard_functions(pair: Any) -> None:
    one, other = pair
    standard: Any = multiprocessing.connection
    for deliver, answer in (
        (deliver_challenge, answer_challenge),
        (standard.deliver_challenge, answer_challenge),
        (deliver_challenge, standard.answer_challenge),
    ):
        with in_thread(lambda answer=answer: answer(other, KEY)) as answered:  # type: ignore[misc]
            deliver(one, KEY)
            answered.result(PATIENCE_SECONDS)


def test_functions_work_over_pipes_of_ours() -> None:
    one, other = interproc.Pipe()
    with in_thread(lambda: answer_challenge(other, KEY)) as answered:
        deliver_challenge(one, KEY, digest_name="sha3_384")
        answered.result(PATIENCE_SECONDS)


@pytest.mark.parametrize("digest", ["md5", "sha256", "sha384", "sha3_256", "sha3_384"])
def test_every_digest_is_answered_by_itself(digest: str) -> None:
    message = b"{%s}" % digest.encode() + b"m" * 40
    response = handshake._create_response(KEY, message)
    assert response == b"{%s}" % digest.encode() + hmac.new(KEY, message, digest).digest()
    handshake._verify_challenge(KEY, message, response)


def test_early_version_is_answered_in_its_language() -> None:
    message = b"is-twenty-bytes-long"
    response = handshake._create_response(KEY, message)
    assert response == hmac.new(KEY, message, "md5").digest()
    handshake._verify_challenge(KEY, message, response)


def test_answer_is_bound_to_the_digest_that_was_asked_for() -> None:
    message = b"{sha256}" + b"m" * 40
    weaker = hmac.new(KEY, b"{md5}" + b"m" * 40, hashlib.md5).digest()
    for response in (weaker, b"{md5}" + weaker):
        with pytest.raises(interproc.AuthenticationError, match="digest received was wrong"):
            handshake._verify_challenge(KEY, message, response)


class Scripted:
    """A connection whose peer says what it was told to."""

    def __init__(self, *lines: bytes) -> None:
        self.lines = list(lines)
        self.sent: list[bytes] = []

    def recv_bytes(self, maxlength: int) -> bytes:
        assert maxlength == 256
        return self.lines.pop(0)

    def send_bytes(self, data: bytes) -> None:
        self.sent.append(data)


def test_wrong_answer_is_told_to_the_peer() -> None:
    connection = Scripted(b"something bogus")
    with pytest.raises(interproc.AuthenticationError):
        deliver_challenge(connection, KEY)
    assert connection.sent[0].startswith(b"#CHALLENGE#{sha256}")
    assert connection.sent[1:] == [b"#FAILURE#"]


@pytest.mark.parametrize(
    "lines", [(b"something bogus",), (b"#CHALLENGE#", b"something bogus"), (b"#CHALLENGE#" + b"x" * 20, b"bogus")]
)
def test_wrong_challenge_or_verdict_raises(lines: tuple[bytes, ...]) -> None:
    with pytest.raises(interproc.AuthenticationError):
        answer_challenge(Scripted(*lines), KEY)


@pytest.mark.parametrize("use", [deliver_challenge, answer_challenge])
def test_key_has_to_be_bytes(use: Callable[..., None]) -> None:
    with pytest.raises(ValueError, match="authkey must be bytes, not str"):
        use(Scripted(), "text")


def test_unknown_digest_raises() -> None:
    with pytest.raises(ValueError, match="digest 'sha1' is not one of md5, sha256"):
        deliver_challenge(Scripted(), KEY, "sha1")


def test_missing_digest_is_an_authentication_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object) -> None:
        raise ValueError("unsupported hash type md5")

    monkeypatch.setattr(hmac, "new", refuse)
    with pytest.raises(interproc.AuthenticationError, match="cannot compute md5, which the peer asks for"):
        handshake._create_response(KEY, b"x" * 20)
