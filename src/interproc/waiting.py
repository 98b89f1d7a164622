"""Waiting for several things at once: queues, connections, sockets, processes' sentinels, files.

A doorbell is a hint: it may ring for something that another process has taken since. So objects of ours say themselves
whether they are ready, and one whose doorbell misleads is not listened to for a moment.
"""

from __future__ import annotations

import math
import select
from collections.abc import Iterable

from interproc.deadlines import deadline_after, seconds_until

TYPE_CHECKING = False  # without importing typing: see ARCHITECTURE.md on import time
if TYPE_CHECKING:
    from typing import Any, TypeVar

    T = TypeVar("T")
else:
    T = object

_FIRST_PAUSE_SECONDS = 0.001
_LONGEST_PAUSE_SECONDS = 0.1


def wait(object_list: Iterable[T], timeout: float | None = None) -> list[T]:
    """Waits until at least one object is ready.

    A queue is ready while it holds something or was shut down; a Connection while there is something to receive or its
    peer is gone; anything else (socket, sentinel, file, descriptor, the standard library's Connection) while it is
    readable.

    Blocks until one is ready or the timeout has passed; signal handlers run meanwhile.

    Args:
        object_list: The objects; each has a `fileno()` or is a descriptor.
        timeout: Seconds for the whole call; None waits for ever, zero or less only looks.

    Returns:
        All objects that are ready, in the order of `object_list`; none when the timeout has passed.

    Raises:
        OSError: A connection is closed.
        ValueError: A queue is closed, or something has no descriptor.
    """
    objects = list(object_list)
    deadline_ns = deadline_after(timeout)
    descriptors = [_descriptor(obj) for obj in objects]
    judges = [getattr(obj, "_is_ready", None) for obj in objects]
    poller = select.poll()
    for fd in descriptors:
        poller.register(fd, select.POLLIN)
    seconds = 0.0 if any(is_ready() for is_ready in judges if is_ready) else seconds_until(deadline_ns)
    pause = _FIRST_PAUSE_SECONDS
    muted: set[int] = set()
    while True:
        rung = _poll(poller, seconds)
        ready = [
            obj
            for obj, fd, is_ready in zip(objects, descriptors, judges, strict=True)
            if (is_ready() if is_ready else fd in rung)
        ]
        seconds = seconds_until(deadline_ns)
        if ready or seconds == 0:
            return ready
        for fd in muted:
            poller.register(fd, select.POLLIN)
        for fd in rung:
            poller.unregister(fd)
        muted = rung
        if muted:
            seconds = pause if seconds is None else min(pause, seconds)
            pause = min(2 * pause, _LONGEST_PAUSE_SECONDS)


def is_readable(fd: int) -> bool:
    """Whether reading a descriptor would not block now."""
    poller = select.poll()
    poller.register(fd, select.POLLIN)
    return bool(poller.poll(0))


def _poll(poller: select.poll, seconds: float | None) -> set[int]:
    return {fd for fd, _ in poller.poll(None if seconds is None else math.ceil(seconds * 1000))}


def _descriptor(obj: Any) -> int:
    try:
        fd = obj if isinstance(obj, int) else int(obj.fileno())
    except (AttributeError, TypeError) as error:
        raise ValueError(f"{obj!r} cannot be waited for: it has no fileno() and is no descriptor") from error
    if fd < 0:
        raise ValueError(f"{obj!r} cannot be waited for: its descriptor is {fd}, which means closed")
    return fd
