"""How messages lie in a stream of bytes: the standard library's format.

Four bytes, big-endian and signed, say how long the message is; or -1, and then eight bytes say it.
"""

from __future__ import annotations

import struct

_SHORT = struct.Struct("!i")
_LONG = struct.Struct("!Q")
_MOST_SHORT = 0x7FFFFFFF


def header_of(size_bytes: int) -> bytes:
    """Returns what stands before a message."""
    if size_bytes <= _MOST_SHORT:
        return _SHORT.pack(size_bytes)
    return _SHORT.pack(-1) + _LONG.pack(size_bytes)


class Incoming:
    """The message that is coming in, as far as it has come.

    Attributes:
        missing_bytes: How much to read next; less than the message where its length is not known yet, and never more,
            so that nothing of the next message is taken out of the stream.
        size_bytes: The message's length; None until it is known, and while a message is thrown away.
    """

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._start()

    def _start(self) -> None:
        self._parts.clear()
        self._header: struct.Struct | None = _SHORT
        self._is_dropping = False
        self.missing_bytes = _SHORT.size
        self.size_bytes: int | None = None

    @property
    def has_begun(self) -> bool:
        """Whether a part of a message has come."""
        return self._header is not _SHORT or bool(self._parts)

    def feed(self, data: bytes) -> None:
        """Takes what was read, which is `missing_bytes` or less.

        Raises:
            OSError: The stream says that the message is of negative length.
        """
        self.missing_bytes -= len(data)
        if self._header is not None or not self._is_dropping:
            self._parts.append(data)
        if self._header is not None and self.missing_bytes == 0:
            self._end_header(self._header)

    def _end_header(self, header: struct.Struct) -> None:
        (size,) = header.unpack(b"".join(self._parts))
        self._parts.clear()
        if header is _SHORT and size == -1:
            self._header, self.missing_bytes = _LONG, _LONG.size
            return
        if size < 0:
            raise OSError(f"bad message length: {size}; the peer is no multiprocessing program, or the stream is torn")
        self._header, self.missing_bytes, self.size_bytes = None, size, size

    def drop(self) -> None:
        """Throws this message away: what has come, and what will."""
        self._parts.clear()
        self._is_dropping = True
        self.size_bytes = None

    def take(self) -> bytes | None:
        """Returns the message if it is complete and was not thrown away."""
        if self._header is not None or self.missing_bytes:
            return None
        message = None if self._is_dropping else b"".join(self._parts)
        self._start()
        return message


__all__ = ["Incoming", "header_of"]
