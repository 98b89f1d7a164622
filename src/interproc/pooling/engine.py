"""The engine of a pool: one thread that hands out tasks, receives outcomes, and sees workers die.

Only that thread touches its state; everybody else posts what shall be done. It sleeps until an outcome, a death or a
post comes. Each worker has a queue of its own, a little ahead of what it does, and what lies there can be taken back.
So when a worker dies, what has an outcome and what still lies there is known for certain, and the one task in between,
if there is one, is what it held.
"""

from __future__ import annotations

import select
import signal
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import CancelledError
from functools import partial
from queue import Empty, Full
from typing import Any

from interproc.errors import TaskTimedOut, WorkerDied
from interproc.outcomes import unpack
from interproc.pooling.crew import Crew, Member
from interproc.pooling.messages import (
    FAILURE,
    GONE,
    NO_JOB,
    NOT_INITIALIZED,
    RAISED,
    READY,
    UNKNOWN_JOB,
    VALUE,
)
from interproc.pooling.tasks import Job, Source, Task
from interproc.sealing import unseal

_BATCH = 1024
_DEEPEST = 512
# A worker is handed as much as it does in this time, but at least one task.
_AHEAD_NS = 10_000_000
# A worker that is silent for longer, be it busy or stopped, gives back what it has not begun with to one that is idle.
_SILENCE_NS = 20_000_000
_RETRY_NS = 1_000_000_000
_MOST_FAILED_STARTS = 3
# How long workers may take to leave: when they were sent SIGTERM, and when everything is done.
_TERMINATION_NS = 2_000_000_000
_LEAVING_NS = 10_000_000_000


class Engine:
    """Supervises the workers of one pool.

    Args:
        crew: Starts the workers.
        size: How many there shall be.
        processes: A list that always holds their processes.

    Raises:
        Exception: What starting the first workers raises; then none is left.
    """

    def __init__(self, crew: Crew, size: int, processes: list[Any]) -> None:
        self.jobs: dict[int, Job] = {}
        self.failure: Callable[[], BaseException] | None = None
        self._crew = crew
        self._size = size
        self._processes = processes
        self._results = crew.results
        self._members: dict[int, Member] = {}
        self._sources: deque[Source] = deque()
        self._returned: deque[Task] = deque()
        self._inbox: deque[tuple[Callable[..., None], tuple[Any, ...]]] = deque()
        self._spare_queues: list[Any] = []
        self._is_asleep = False
        self._is_closed = False
        self._is_terminated = False
        self._is_over = False
        self._failed_starts = 0
        self._retry_ns: int | None = None
        self._poller = select.poll()
        self._poller.register(self._results.fileno(), select.POLLIN)
        try:
            while len(self._members) < size:
                self._hire()
        except BaseException:
            self._end_workers(signal.SIGKILL)
            raise
        self.thread = threading.Thread(target=self._supervise, name="interproc-pool", daemon=True)
        self.thread.start()

    # For any thread.

    def submit(self, source: Source) -> None:
        """Takes on a job. Returns at once."""
        self.post(self._enter, source)

    def cancel(self, job: Job) -> None:
        """Stops the work on a job whose result is decided. Returns at once."""
        self.post(self._cancel, job)

    def close(self) -> None:
        """Lets the workers leave once everything is done. Returns at once."""
        self.post(self._close)

    def terminate(self) -> None:
        """Ends the workers and gives up what is not done. Blocks until they have ended, but for its own thread."""
        self._is_terminated = True
        self.post(_do_nothing)
        if threading.current_thread() is not self.thread:
            self.thread.join()

    def post(self, function: Callable[..., None], *args: Any) -> None:
        """Lets the supervising thread call something. Returns at once; takes no lock, so finalizers may use it."""
        self._inbox.append((function, args))
        if self._is_over:
            self._refuse()
        elif self._is_asleep:
            self._is_asleep = False
            try:
                self._results.put(None)
            except OSError:  # closed: it is over by now
                self._refuse()

    # For the supervising thread.

    def _supervise(self) -> None:
        try:
            while not (self._is_terminated or (self._is_closed and not self.jobs)):
                self._turn()
            self._dismiss()
        except BaseException as error:
            self._give_up(error)
            self._end_workers(signal.SIGKILL)
            raise
        finally:
            self._is_over = True
            self._refuse()
            for queue in (self._results, *self._spare_queues):
                queue.close()

    def _turn(self) -> None:
        dead = self._sleep()
        while self._inbox:
            function, args = self._inbox.popleft()
            function(*args)
        self._collect()
        for member in dead:
            self._bury(member)
        now_ns = time.monotonic_ns()
        self._expire(now_ns)
        if self._retry_ns is not None and now_ns >= self._retry_ns:
            self._replenish()
        if not self._is_terminated:
            self._hand_out(now_ns)

    def _sleep(self) -> list[Member]:
        """Waits for something to do; returns who has died."""
        self._is_asleep = True  # before it looks into the inbox: who posts looks at this afterwards
        milliseconds = 0 if self._inbox else self._patience_ms()
        rung = {fd for fd, _ in self._poller.poll(milliseconds)}
        self._is_asleep = False
        return [member for member in self._members.values() if member.death_fd in rung]

    def _patience_ms(self) -> int | None:
        now_ns = time.monotonic_ns()
        times = [] if self._retry_ns is None else [self._retry_ns]
        has_idle = any(member.is_ready and not member.assigned for member in self._members.values())
        for member in self._members.values():
            if member.assigned and member.is_ready and not member.is_dying:
                timeout_ns = member.assigned[0].job.timeout_ns
                if timeout_ns is not None:
                    times.append(member.heard_ns + timeout_ns)
                if has_idle and member.tasks.qsize():
                    times.append(max(member.heard_ns, now_ns) + _SILENCE_NS)
        return max(0, -(-(min(times) - now_ns) // 1_000_000)) if times else None

    # Jobs.

    def _enter(self, source: Source) -> None:
        job = source.job
        if self._is_terminated or self._is_closed:
            job.result.give_up(ValueError("Pool not running"))
        elif self.failure is not None:
            job.result.give_up(self.failure())
        else:
            self.jobs[job.number] = job
            self._sources.append(source)
            source.begin(self.post)

    def _settle(self, job: Job) -> None:
        """Forgets a job that is done."""
        if job.is_exhausted and not job.open_count:
            self.jobs.pop(job.number, None)

    def _cancel(self, job: Job) -> None:
        if job.number not in self.jobs:
            return
        job.is_cancelled = True
        for source in [source for source in self._sources if source.job is job]:
            source.stop()
            self._sources.remove(source)
        job.is_exhausted = True
        for member in self._members.values():
            if any(task.job is job for task in member.assigned):
                self._take_back(member, _DEEPEST)
        self._returned = deque(task for task in self._returned if not self._drops(task))
        self._collect()
        for member in self._members.values():
            if member.assigned and member.assigned[0].job is job:
                self._kill(member, CancelledError())
        self._settle(job)

    def _drops(self, task: Task) -> bool:
        """Whether a task is not wanted any more; then forgets it."""
        job = task.job
        if not job.is_cancelled:
            return False
        job.open_count -= 1
        self._settle(job)
        return True

    def _close(self) -> None:
        self._is_closed = True

    def _give_up(self, error: BaseException) -> None:
        """Ends all jobs with an error."""
        for source in self._sources:
            source.stop()
        self._sources.clear()
        self._returned.clear()
        while self.jobs:
            _, job = self.jobs.popitem()
            job.result.give_up(error)

    def _refuse(self) -> None:
        """Answers what was posted too late."""
        while True:
            try:
                function, args = self._inbox.popleft()
            except IndexError:
                return
            if function == self._enter:
                args[0].job.result.give_up(ValueError("Pool not running"))

    # Outcomes.

    def _collect(self) -> None:
        """Receives all outcomes there are."""
        members = self._members
        while True:
            try:
                batch = self._results.get_many(_BATCH, False)
            except Empty:
                return
            now_ns = time.monotonic_ns()
            for message in batch:
                if message is None:
                    continue
                number, task_number, outcome, content = message
                member = members.get(number)
                if member is None:
                    continue
                if not task_number:
                    self._hear(member, outcome, content)
                    continue
                task = member.assigned.popleft()
                assert task.number == task_number, f"{task_number} was answered instead of {task.number}"
                member.heard_ns = now_ns
                member.done_count += 1
                if outcome == VALUE:
                    self._deliver(task, True, content)
                elif outcome == UNKNOWN_JOB:
                    member.known_jobs.discard(task.job.number)
                    if not self._drops(task):
                        self._returned.append(task)
                else:
                    self._deliver(task, *_opened(outcome, content))
                message = task = content = None
            del batch

    def _deliver(self, task: Task, is_success: bool, value: Any) -> None:
        job = task.job
        job.open_count -= 1
        job.result.deliver(task.index, is_success, value)
        if job.is_exhausted and not job.open_count:
            self.jobs.pop(job.number, None)

    def _hear(self, member: Member, outcome: int, content: Any) -> None:
        if outcome == READY:
            member.is_ready = True
            self._failed_starts = 0
        elif outcome == NOT_INITIALIZED:
            member.is_dying = True
            fails = partial(unpack, content) if self._crew.seals else partial(_same, content)
            self._break(fails)
        elif outcome == GONE:
            self._bury(member)

    def _break(self, failure: Callable[[], BaseException]) -> None:
        """Makes a failure what every result and every later call raises."""
        if self.failure is None:
            self.failure = failure
        for job in list(self.jobs.values()):
            self._returned.clear()
            job.result.give_up(self.failure())
            self._cancel(job)

    # Handing out.

    def _hand_out(self, now_ns: int) -> None:
        needy = []
        total = 0
        for member in self._members.values():
            if not member.is_ready or member.is_dying:
                continue
            has_count = len(member.assigned)
            if has_count and now_ns - member.heard_ns > _SILENCE_NS:
                continue
            self._pace(member, now_ns)
            if has_count <= member.depth // 2:
                room = member.depth - has_count
                if self._crew.max_tasks is not None:
                    room = min(room, self._crew.max_tasks - member.handed_count)
                if room > 0:
                    needy.append((has_count, member, room))
                    total += room
        if not needy:
            return
        if any(len(member.assigned) > 1 and now_ns - member.heard_ns > _SILENCE_NS for member in self._members.values()):
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
        self._returned.extendleft(reversed(tasks[start:]))

    def _pace(self, member: Member, now_ns: int) -> None:
        """Finds out how far ahead a worker should be supplied."""
        count = member.done_count - member.paced_count
        if count and len(member.assigned) <= member.depth // 2:
            each_ns = max(1, (now_ns - member.paced_ns) // count)
            member.depth = max(1, min(_DEEPEST, -(-_AHEAD_NS // each_ns)))
            member.paced_count = member.done_count
            member.paced_ns = now_ns

    def _take(self, count: int) -> list[Task]:
        """Returns up to so many tasks that are next."""
        tasks: list[Task] = []
        while self._returned and len(tasks) < count:
            tasks.append(self._returned.popleft())
        place = 0
        while len(tasks) < count and place < len(self._sources):
            source = self._sources[place]
            job = source.job
            if not job.result.begins():
                source.stop()
                job.is_exhausted = True
            else:
                taken = source.take(count - len(tasks))
                job.open_count += len(taken)
                tasks += taken
            if job.is_exhausted:
                del self._sources[place]
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
        self._returned.extendleft(reversed(tasks))

    def _take_back(self, member: Member, count: int) -> None:
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
        self._returned.extendleft(reversed(back))

    def _take_back_from_silent(self, now_ns: int) -> None:
        for member in self._members.values():
            if len(member.assigned) > 1 and now_ns - member.heard_ns > _SILENCE_NS:
                self._take_back(member, _DEEPEST)

    def _take_from_busiest(self, idle_count: int) -> list[Task]:
        busiest, most = None, 0
        for member in self._members.values():
            if member.assigned and (count := member.tasks.qsize()) > most:
                busiest, most = member, count
        if busiest is None:
            return []
        self._take_back(busiest, max(1, most * idle_count // (idle_count + 1)))
        return self._take(_DEEPEST)

    # Deaths.

    def _expire(self, now_ns: int) -> None:
        """Kills the workers whose task takes longer than it may."""
        for member in self._members.values():
            if not member.assigned or not member.is_ready or member.is_dying:
                continue
            task = member.assigned[0]
            if task.job.timeout_ns is None or now_ns - member.heard_ns < task.job.timeout_ns:
                continue
            self._take_back(member, _DEEPEST)
            self._collect()
            if member.assigned and member.assigned[0] is task:
                seconds = task.job.timeout_ns / 1e9
                self._kill(member, TaskTimedOut(f"{task.job.describe(task.index)} took longer than {seconds:g} s"))

    def _kill(self, member: Member, error: BaseException) -> None:
        """Kills a worker because of the one task that it has left; the error is what becomes of that."""
        if self._crew.can_kill and not member.is_dying:
            member.verdict = member.assigned[0], error
            member.is_dying = True
            member.send(signal.SIGKILL)

    def _bury(self, member: Member) -> None:
        """Deals with what a dead worker leaves behind, and replaces it. All its outcomes were collected."""
        del self._members[member.number]
        if member.death_fd >= 0:
            self._poller.unregister(member.death_fd)
        exitcode = member.reap()
        self._processes.remove(member.process)
        self._take_back(member, _DEEPEST)
        while member.tasks.qsize():
            self._take_back(member, _DEEPEST)
        self._spare_queues.append(member.tasks)
        died = WorkerDied(member.process.ident, exitcode)
        for task in member.assigned:  # one at most
            self._lose(member, task, died)
        if not member.is_ready and not member.is_dying:
            self._failed_starts += 1
            if self._failed_starts >= _MOST_FAILED_STARTS:
                self._break(partial(_not_ready, died))
        self._replenish()

    def _lose(self, member: Member, task: Task, died: WorkerDied) -> None:
        if self._drops(task):
            return
        task.death_count += 1
        if member.verdict is not None and member.verdict[0] is task:
            self._deliver(task, False, member.verdict[1])
        elif task.death_count <= task.job.retries:
            self._returned.appendleft(task)
        else:
            self._deliver(task, False, WorkerDied(died.pid, died.exitcode, task.job.describe(task.index)))

    def _replenish(self) -> None:
        """Starts as many workers as are missing."""
        self._retry_ns = None
        try:
            while len(self._members) < self._size and self.failure is None and not self._is_terminated:
                self._hire()
        except Exception as error:
            self._retry_ns = time.monotonic_ns() + _RETRY_NS
            if not self._members:
                self._give_up(error)

    def _hire(self) -> None:
        member = self._crew.hire(self._spare_queues.pop() if self._spare_queues else None)
        self._members[member.number] = member
        self._processes.append(member.process)
        if member.death_fd >= 0:
            self._poller.register(member.death_fd, select.POLLIN)

    # The end.

    def _dismiss(self) -> None:
        """Lets all workers leave, or makes them. Blocks until they have ended."""
        was_terminated = self._is_terminated
        if was_terminated:
            self._give_up(CancelledError("the pool was terminated"))
        for member in self._members.values():
            if was_terminated:
                member.send(signal.SIGTERM)
            if not was_terminated or not self._crew.can_kill:
                member.tasks.put(None)
            member.send(signal.SIGCONT)  # for who was stopped
        deadline_ns = time.monotonic_ns() + (_TERMINATION_NS if was_terminated else _LEAVING_NS)
        while self._members and time.monotonic_ns() < deadline_ns:
            self._await_deaths(deadline_ns)
            if self._is_terminated and not was_terminated:
                self._dismiss()
                return
        self._end_workers(signal.SIGKILL)

    def _await_deaths(self, deadline_ns: int) -> None:
        milliseconds = max(0, -(-(deadline_ns - time.monotonic_ns()) // 1_000_000))
        self._is_asleep = True
        rung = {fd for fd, _ in self._poller.poll(0 if self._inbox else milliseconds)}
        self._is_asleep = False
        self._refuse()
        gone = {number for number, _, outcome, _ in self._drain_results() if outcome == GONE}
        for number, member in list(self._members.items()):
            if number in gone or member.death_fd in rung:
                self._part_with(member)

    def _drain_results(self) -> list[Any]:
        try:
            return [message for message in self._results.get_many(_BATCH, False) if message is not None]
        except Empty:
            return []

    def _part_with(self, member: Member) -> None:
        del self._members[member.number]
        if member.death_fd >= 0:
            self._poller.unregister(member.death_fd)
        member.reap()
        member.tasks.close()

    def _end_workers(self, signal_number: int) -> None:
        """Kills who is left. A thread is left alone."""
        for member in list(self._members.values()):
            member.send(signal_number)
        for member in list(self._members.values()):
            if self._crew.can_kill:
                self._part_with(member)
        self._members.clear()


def _opened(outcome: int, content: Any) -> tuple[bool, Any]:
    """Makes what came of a task anew."""
    if outcome == FAILURE:
        return False, unpack(content)
    if outcome == RAISED:
        return False, content
    try:
        return True, unseal(content)
    except (Exception, SystemExit) as error:
        error.add_note("while unpickling the result of a pool's task")
        return False, error


def _by_count(needy: tuple[int, Member, int]) -> int:
    return needy[0]


def _same(error: BaseException) -> BaseException:
    return error


def _not_ready(died: WorkerDied) -> BaseException:
    return WorkerDied(died.pid, died.exitcode, "its initializer, like others before it")


def _do_nothing() -> None: ...
