"""A timeout in seconds becomes one absolute deadline at the public edge, and travels as that."""

import time

_NS_PER_SECOND = 1_000_000_000


def deadline_after(timeout: float | None) -> int | None:
    """Turns a timeout into nanoseconds of the monotonic clock.

    Args:
        timeout: Seconds from now; below zero counts as zero. None never comes.

    Raises:
        TypeError: `timeout` is neither a number nor None.
    """
    if timeout is None:
        return None
    return time.monotonic_ns() + int(max(0.0, timeout) * _NS_PER_SECOND)


def seconds_until(deadline_ns: int | None) -> float | None:
    """Returns the seconds left until a deadline, never below zero; None for ever."""
    if deadline_ns is None:
        return None
    return max(0, deadline_ns - time.monotonic_ns()) / _NS_PER_SECOND
