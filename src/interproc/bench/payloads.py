"""Payload: what a message is."""

from collections.abc import Callable
from dataclasses import dataclass

KIB = 1024
MIB = 1024 * KIB

FIRST_BYTES = 4 * MIB
LARGE_BYTES = 64 * KIB
WAITING_BYTES = 8 * MIB
FEWEST_WAITING = 8
HUGE_BYTES = 256 * MIB
FEWEST_HUGE_WAITING = 2


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
        if self.message_bytes < LARGE_BYTES:
            return 0
        fewest = FEWEST_WAITING if self.message_bytes < HUGE_BYTES else FEWEST_HUGE_WAITING
        return max(fewest, WAITING_BYTES // self.message_bytes)

    @property
    def first_count(self) -> int:
        """How many messages to begin with, to find out how long they take."""
        fewest = 4 if self.message_bytes < HUGE_BYTES else 1
        return max(fewest, min(64, FIRST_BYTES // self.message_bytes))


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


def arrays_in_a_dict(count: int, size_bytes: int) -> Payload:
    """A dict of some NumPy arrays of float64 and some small fields."""
    make_array = array_of(size_bytes).make

    def make() -> object:
        arrays = {f"channel-{index}": make_array() for index in range(count)}
        return {**arrays, "id": 17, "name": "sensor-17", "shape": (3, 4), "unit": "celsius", "valid": True}

    return Payload(make, count * size_bytes)
