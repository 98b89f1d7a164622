"""The handshake by which two processes show each other that they know the same key, without sending it.

One side sends a challenge of random bytes, the other answers with their HMAC under the key, the first says whether that
was right; then the sides swap. Python 3.12 and later name the digest before the challenge and the answer, 3.11 and
earlier take HMAC-MD5 for granted. This speaks both, on every version, and knows nothing of how messages travel.
"""

from __future__ import annotations

import hmac
import os
from collections.abc import Generator
from multiprocessing import AuthenticationError

TYPE_CHECKING = False  # without importing typing: see ARCHITECTURE.md on import time
if TYPE_CHECKING:
    from typing import Protocol

    # Yields what to send, or None to be sent the message that came.
    Steps = Generator[bytes | None, bytes, None]

    class Messages(Protocol):
        """Something that sends and receives messages."""

        def send_bytes(self, buf: bytes, /) -> object: ...
        def recv_bytes(self, maxlength: int, /) -> bytes: ...


CHALLENGE = b"#CHALLENGE#"
WELCOME = b"#WELCOME#"
FAILURE = b"#FAILURE#"
MAX_MESSAGE_BYTES = 256
_CHALLENGE_BYTES = 40
_LEGACY_CHALLENGE_BYTES = 20
_LEGACY_ANSWER_BYTES = 16
_DIGESTS = ("md5", "sha256", "sha384", "sha3_256", "sha3_384")
_HINT = "the key is another one, or the peer is no multiprocessing program"


class HandshakeFailed(AuthenticationError, EOFError, OSError):
    """A peer did not show that it knows the key: it sent something else, nothing, or left.

    The standard library raises an AuthenticationError, EOFError or OSError, depending on what it was.
    """


def deliver_challenge(connection: Messages, authkey: bytes, digest_name: str = "sha256") -> None:
    """Lets the peer show that it knows the key; it calls `answer_challenge`. Blocks until it has answered.

    Args:
        connection: A connection to the peer.
        authkey: The key.
        digest_name: The digest to ask for; a peer of Python 3.11 or earlier takes MD5 nevertheless.

    Raises:
        AuthenticationError: The peer does not know the key.
        ValueError: The key is not of bytes, or the digest is not known.
    """
    _drive(connection, deliver_steps(authkey, digest_name))


def answer_challenge(connection: Messages, authkey: bytes) -> None:
    """Shows the peer that this process knows the key; it calls `deliver_challenge`. Blocks until it has judged.

    Args:
        connection: A connection to the peer.
        authkey: The key.

    Raises:
        AuthenticationError: The peer found the answer wrong, or speaks another language.
        ValueError: The key is not of bytes.
    """
    _drive(connection, answer_steps(authkey))


def deliver_steps(authkey: bytes, digest_name: str = "sha256") -> Steps:
    """What the side that asks does, step by step."""
    _check_key(authkey)
    if digest_name not in _DIGESTS:
        raise ValueError(f"digest {digest_name!r} is not one of {', '.join(_DIGESTS)}")
    message = b"{%s}%s" % (digest_name.encode(), os.urandom(_CHALLENGE_BYTES))
    yield CHALLENGE + message
    answer = yield None
    try:
        _verify_challenge(authkey, message, answer)
    except AuthenticationError:
        yield FAILURE
        raise
    yield WELCOME


def answer_steps(authkey: bytes) -> Steps:
    """What the side that is asked does, step by step."""
    _check_key(authkey)
    message = yield None
    if not message.startswith(CHALLENGE):
        raise AuthenticationError(f"the peer sent {message[:40]!r} instead of a challenge: does it use an authkey?")
    message = message.removeprefix(CHALLENGE)
    if len(message) < _LEGACY_CHALLENGE_BYTES:
        raise AuthenticationError(
            f"the peer's challenge is of {len(message)} bytes, and should be of {_LEGACY_CHALLENGE_BYTES} at least"
        )
    yield _create_response(authkey, message)
    verdict = yield None
    if verdict != WELCOME:
        raise AuthenticationError(f"the peer rejected the digest that was sent: {_HINT}")


def server_steps(authkey: bytes) -> Steps:
    """The handshake of a listener."""
    yield from deliver_steps(authkey)
    yield from answer_steps(authkey)


def client_steps(authkey: bytes) -> Steps:
    """The handshake of a client."""
    yield from answer_steps(authkey)
    yield from deliver_steps(authkey)


def _drive(connection: Messages, steps: Steps) -> None:
    """Takes the steps one after the other, with the connection's own methods."""
    try:
        out = next(steps)
        while True:
            if out is None:
                out = steps.send(connection.recv_bytes(MAX_MESSAGE_BYTES))
            else:
                connection.send_bytes(out)
                out = next(steps)
    except StopIteration:
        return


def _create_response(authkey: bytes, message: bytes) -> bytes:
    """The answer to a challenge, in the language of who sent it."""
    digest_name = _digest_of(message, _LEGACY_CHALLENGE_BYTES)
    mac = _mac(authkey, message, digest_name or "md5")
    return b"{%s}%s" % (digest_name.encode(), mac) if digest_name else mac


def _verify_challenge(authkey: bytes, message: bytes, response: bytes) -> None:
    """Judges the answer to a challenge; raises AuthenticationError if it is wrong."""
    digest_name = _digest_of(response, _LEGACY_ANSWER_BYTES)
    mac = response.partition(b"}")[2] if digest_name else response
    if not hmac.compare_digest(_mac(authkey, message, digest_name or "md5"), mac):
        raise AuthenticationError(f"the digest received was wrong: {_HINT}")


def _digest_of(message: bytes, legacy_bytes: int) -> str:
    """The digest that a message names; empty for one of an early version, which names none."""
    if len(message) == legacy_bytes:
        return ""
    name, brace, _ = message[1:].partition(b"}")
    if message[:1] != b"{" or not brace or name.decode("ascii", "replace") not in _DIGESTS:
        raise AuthenticationError(
            f"the peer's message names no digest of {', '.join(_DIGESTS)}: {message[:40]!r}; is it a multiprocessing"
            " program?"
        )
    return name.decode()


def _mac(authkey: bytes, message: bytes, digest_name: str) -> bytes:
    # The digest's name is part of the message: nobody between the two sides can make them take a weaker one.
    try:
        return hmac.new(authkey, message, digest_name).digest()
    except ValueError as error:  # FIPS mode has no MD5
        raise AuthenticationError(f"this Python cannot compute {digest_name}, which the peer asks for") from error


def _check_key(authkey: bytes) -> None:
    if not isinstance(authkey, bytes):
        raise ValueError(f"authkey must be bytes, not {type(authkey).__name__}")


__all__ = ["AuthenticationError", "HandshakeFailed", "answer_challenge", "deliver_challenge"]
