"""How workers leave: asked, or killed."""

from __future__ import annotations

import select
import signal
from queue import Empty

from interproc.pooling.crew import Crew, Member
from interproc.pooling.messages import GONE

_BATCH = 1024


class Leaving:
    """Parts with the workers of a pool. For the supervising thread.

    Args:
        members: Those who are left, by number.
        poller: Sees their deaths, and results.
        crew: Started them.
    """

    def __init__(self, members: dict[int, Member], poller: select.poll, crew: Crew) -> None:
        self._members = members
        self._poller = poller
        self._crew = crew

    def ask(self, is_urgent: bool) -> None:
        """Tells all to leave: after what they were handed, or at once by SIGTERM."""
        for member in self._members.values():
            if is_urgent:
                member.send(signal.SIGTERM)
            if not is_urgent or not self._crew.can_kill:
                member.tasks.put(None)
            member.send(signal.SIGCONT)  # for who was stopped

    def wait(self, milliseconds: int) -> None:
        """Blocks until somebody has left, or something else happens. Drops results."""
        rung = {fd for fd, _ in self._poller.poll(milliseconds)}
        try:
            messages = self._crew.results.get_many(_BATCH, False)
        except Empty:
            messages = []
        gone = {message[0] for message in messages if message is not None and message[2] == GONE}
        for member in list(self._members.values()):
            if member.number in gone or member.death_fd in rung:
                self._part_with(member)

    def kill(self) -> None:
        """Kills and reaps who is left. A thread is left alone."""
        for member in self._members.values():
            member.send(signal.SIGKILL)
        for member in list(self._members.values()):
            self._part_with(member)

    def _part_with(self, member: Member) -> None:
        del self._members[member.number]
        if member.death_fd >= 0:
            self._poller.unregister(member.death_fd)
            member.reap()
            member.tasks.close()
