"""Payload: what a message is."""

from collections.abc import Callable
from dataclasses import dataclass

KIB = 1024
MIB = 1024 * KIB

FIRST_BYTES = 4 * MIB
LARGE_BYTES = 64 * KIB
WAITING_BYTES = 8 * MIB
FEWEST_WAITING = 8


@dataclass(frozen=True)
class Payload:
    """A message, made anew by every worker that sends it."""

    make: Callable[[], object]
    message_bytes: int
    raw: bool = False
    """A bytes object."""

    @property
    def capacity(self) -> int:
        """How many may wait, 0 for no limit. A limit for large ones, as in programs that send such things.

        Without, the figure would be that of the memory a producer fills when it runs ahead.
        """
        return max(FEWEST_WAITING, WAITING_BYTES // self.message_bytes) if self.message_bytes >= LARGE_BYTES else 0

    @property
    def first_count(self) -> int:
        """How many messages to begin with, to find out how long they take."""
        return max(4, min(64, FIRST_BYTES // self.message_bytes))


def _int() -> object:
    return 1_234_567


def _dict() -> object:
    return {"id": 1_234_567, "name": "sensor-17", "value": 21.5, "unit": "celsius"}


INT = Payload(_int, 8)
DICT = Payload(_dict, 64)


def bytes_of(size_bytes: int) -> Payload:
    """A bytes object."""
    return Payload(lambda: b"x" * size_bytes, size_bytes, raw=True)


def array_of(size_bytes: int) -> Payload:
    """A NumPy array of float64."""

    def make() -> object:
        import numpy

        return numpy.arange(size_bytes // 8, dtype=numpy.float64)

    return Payload(make, size_bytes)
