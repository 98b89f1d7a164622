"""Who gets which task: each worker a little ahead of what it does, and nothing waits behind a slow one for long."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from queue import Empty, Full
from typing import Any

from interproc.pooling.crew import Member
from interproc.pooling.messages import NO_JOB
from interproc.pooling.tasks import Job, Source, Task

DEEPEST = 512
# A worker is handed as much as it does in this time, but at least one task.
_AHEAD_NS = 10_000_000
# A worker that is silent for longer, be it busy or stopped, gives back what it has not begun with.
SILENCE_NS = 20_000_000


class Handing:
    """Hands out the tasks of one pool. For the supervising thread.

    Args:
        members: The workers, by number.
        max_tasks: How many tasks a worker takes at most; None for no limit.
        deliver: Is told the outcome of a task that cannot be handed out.
        settle: Is told of a job that may have come to its end.

    Attributes:
        sources: Where tasks come from; the first ones first.
        returned: Tasks that were handed out in vain, which go before all others.
    """

    def __init__(
        self,
        members: dict[int, Member],
        max_tasks: int | None,
        deliver: Callable[[Task, bool, Any], None],
        settle: Callable[[Job], None],
    ) -> None:
        self.sources: deque[Source] = deque()
        self.returned: deque[Task] = deque()
        self._members = members
        self._max_tasks = max_tasks
        self._deliver = deliver
        self._settle = settle

    def hand_out(self, now_ns: int) -> None:
        needy = []
        total = 0
        for member in self._members.values():
            if not member.is_ready or member.is_dying:
                continue
            has_count = len(member.assigned)
            if has_count and now_ns - member.heard_ns > SILENCE_NS:
                continue
            self._pace(member, now_ns)
            if has_count <= member.depth // 2:
                room = member.depth - has_count
                if self._max_tasks is not None:
                    room = min(room, self._max_tasks - member.handed_count)
                if room > 0:
                    needy.append((has_count, member, room))
                    total += room
        if not needy:
            return
        if any(len(member.assigned) > 1 and now_ns - member.heard_ns > SILENCE_NS for member in self._members.values()):
            self._take_back_from_silent(now_ns)
        needy.sort(key=_by_count)
        tasks = self._take(total)
        if not tasks and needy[0][0] == 0:
            tasks = self._take_from_busiest(sum(not count for count, _, _ in needy))
        start = 0
        for place, (_, member, room) in enumerate(needy):
            if start == len(tasks):
                break
            share = min(room, -(-(len(tasks) - start) // (len(needy) - place)))
            self._hand(member, tasks[start : start + share], now_ns)
            start += share
        self.returned.extendleft(reversed(tasks[start:]))

    def _pace(self, member: Member, now_ns: int) -> None:
        """Finds out how far ahead a worker should be supplied."""
        count = member.done_count - member.paced_count
        if count and len(member.assigned) <= member.depth // 2:
            each_ns = max(1, (now_ns - member.paced_ns) // count)
            member.depth = max(1, min(DEEPEST, -(-_AHEAD_NS // each_ns)))
            member.paced_count = member.done_count
            member.paced_ns = now_ns

    def _take(self, count: int) -> list[Task]:
        """Returns up to so many tasks that are next."""
        tasks: list[Task] = []
        while self.returned and len(tasks) < count:
            tasks.append(self.returned.popleft())
        place = 0
        while len(tasks) < count and place < len(self.sources):
            source = self.sources[place]
            job = source.job
            if not job.result.begins():
                source.stop()
                job.is_exhausted = True
            else:
                taken = source.take(count - len(tasks))
                job.open_count += len(taken)
                tasks += taken
            if job.is_exhausted:
                del self.sources[place]
                self._settle(job)
            else:
                place += 1
        return tasks

    def _hand(self, member: Member, tasks: list[Task], now_ns: int) -> None:
        """Puts tasks into a worker's queue. Never blocks: what does not fit waits."""
        if not tasks:
            return
        if not member.assigned:
            member.heard_ns = now_ns
            if member.done_count == member.paced_count:
                member.paced_ns = now_ns
        light: list[Any] = []
        for place, task in enumerate(tasks):
            job = task.job
            number, definition = (NO_JOB, None) if job.definition is None else (job.number, job.definition)
            is_light = task.is_light
            if definition is not None:
                if number in member.known_jobs:
                    definition = None
                else:
                    member.known_jobs.add(number)
                    is_light = False
            message = task.number, number, definition, task.is_sealed, task.content
            if is_light:
                light.append(message)
                member.assigned.append(task)
                member.handed_count += 1
                continue
            if light:
                member.tasks.put_many(light, False)
                light = []
            try:
                member.tasks.put(message, False)
            except Full:
                member.known_jobs.discard(number)
                self._does_not_fit(member, tasks[place:])
                break
            except Exception as error:  # of a buffer that was released meanwhile
                member.known_jobs.discard(number)
                self._deliver(task, False, error)
                continue
            member.assigned.append(task)
            member.handed_count += 1
        if light:
            member.tasks.put_many(light, False)

    def _does_not_fit(self, member: Member, tasks: list[Task]) -> None:
        if not member.assigned:  # nor ever will
            task, *tasks = tasks
            self._deliver(task, False, MemoryError(f"{task.job.describe(task.index)}: too large for shared memory"))
        self.returned.extendleft(reversed(tasks))

    def take_back(self, member: Member, count: int) -> None:
        """Takes tasks back that a worker has not begun with."""
        try:
            messages = member.tasks.get_many(count, False)
        except Empty:
            return
        numbers = {message[0] for message in messages}
        back = [task for task in member.assigned if task.number in numbers]
        member.assigned = deque(task for task in member.assigned if task.number not in numbers)
        member.handed_count -= len(back)
        for task in back:
            member.known_jobs.discard(task.job.number)
        self.returned.extendleft(reversed(back))

    def _take_back_from_silent(self, now_ns: int) -> None:
        for member in self._members.values():
            if len(member.assigned) > 1 and now_ns - member.heard_ns > SILENCE_NS:
                self.take_back(member, DEEPEST)

    def _take_from_busiest(self, idle_count: int) -> list[Task]:
        busiest, most = None, 0
        for member in self._members.values():
            if member.assigned and (count := member.tasks.qsize()) > most:
                busiest, most = member, count
        if busiest is None:
            return []
        self.take_back(busiest, max(1, most * idle_count // (idle_count + 1)))
        return self._take(DEEPEST)

    def clear(self) -> None:
        """Forgets all tasks and sources."""
        for source in self.sources:
            source.stop()
        self.sources.clear()
        self.returned.clear()


def _by_count(needy: tuple[int, Member, int]) -> int:
    return needy[0]
