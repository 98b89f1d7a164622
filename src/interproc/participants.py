"""Who uses a queue or a pipe, and how one of them is put out."""

from __future__ import annotations

import errno
import operator
import os
import select
import signal
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, NamedTuple, SupportsIndex

if TYPE_CHECKING:
    from interproc._core import _Attached


class Participant(NamedTuple):
    """A process that is attached to a queue, or to an end of a pipe.

    Attached is a process from the first call that puts, takes, waits, watches or counts, whatever came of it, until it
    closes its last object for the queue or ends; holding a handle is not enough, nor is asking for a size. One that
    keeps an array it received, or one that it was lent, stays attached after closing.

    Attributes:
        pid: Its number.
        is_alive: Whether it lives. One that is stopped does. One that has ended stays in the list until it is looked
            for, a second or two later.
        is_consumer: Whether it has asked for an object, or for a descriptor to watch for them, at least once.
        is_producer: Whether it has put an object at least once.
    """

    pid: int
    is_alive: bool
    is_consumer: bool
    is_producer: bool


def merge(attached: Iterable[_Attached]) -> list[Participant]:
    """One for each process, in the order in which they stand in the table, which is about that of their coming."""
    found: dict[tuple[int, bool], Participant] = {}
    for pid, is_alive, is_consumer, is_producer, _ in attached:
        seen = found.get((pid, is_alive), Participant(pid, is_alive, False, False))
        found[pid, is_alive] = Participant(
            pid, is_alive, seen.is_consumer or is_consumer, seen.is_producer or is_producer
        )
    return list(found.values())


def evict(
    what: str, pid: SupportsIndex, attached: Callable[[], Iterable[_Attached]], sweep: Callable[[], None]
) -> None:
    """Kills a participant, waits for its end, and makes what it held free.

    Args:
        what: What it uses, in words.
        pid: The process.
        attached: Tells who is.
        sweep: Looks for the dead.

    Raises:
        ValueError: It is the caller's own.
        ProcessLookupError: It does not use this.
        PermissionError: The system does not let this process kill it, or tell which process it is.
    """
    wanted = operator.index(pid)
    if wanted == os.getpid():
        raise ValueError(f"evict({wanted}): that is this process, which leaves with close()")
    found = [each for each in attached() if each[0] == wanted]
    if not found:
        raise ProcessLookupError(
            errno.ESRCH, f"process {wanted} does not use this {what}: it never did, has closed it, or has ended"
        )
    if any(is_alive for _, is_alive, *_ in found):
        _kill(wanted, attached)
    sweep()


def _kill(pid: int, attached: Callable[[], Iterable[_Attached]]) -> None:
    try:
        fd = os.pidfd_open(pid)
    except ProcessLookupError:
        return  # ended meanwhile
    try:
        # Looked at with the descriptor open, which leads to one process for ever: if the participant has this number
        # now, then the descriptor leads to it, however often the number was given away before.
        now = [each for each in attached() if each[0] == pid and each[1]]
        if not now:
            return
        if not any(is_certain for *_, is_certain in now):
            raise PermissionError(
                errno.EPERM,
                f"evict({pid}): /proc/{pid} is hidden from this process, so that nobody knows whether {pid} is still "
                "the process that was meant; kill it by other means",
            )
        try:
            signal.pidfd_send_signal(fd, signal.SIGKILL)
        except ProcessLookupError:
            return
        ended = select.poll()
        ended.register(fd, select.POLLIN)
        ended.poll()
    finally:
        os.close(fd)


__all__ = ["Participant"]
