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
from contextlib import suppress
from functools import partial
from queue import Empty
from typing import Any

from interproc.errors import TaskTimedOut, WorkerDied
from interproc.outcomes import unpack
from interproc.pooling.crew import Crew, Member
from interproc.pooling.handing import DEEPEST, SILENCE_NS, Handing
from interproc.pooling.leaving import Leaving
from interproc.pooling.messages import (
    GONE,
    NOT_INITIALIZED,
    READY,
    UNKNOWN_JOB,
    VALUE,
    opened,
)
from interproc.pooling.tasks import Job, Source, Task

_BATCH = 1024
_RETRY_NS = 1_000_000_000
# How many workers in a row may die before they are ready. Those that somebody killed count less.
_MOST_FAILED_STARTS = 3.0
_KILLED_COUNTS = 0.1
# How long workers may take to leave: when they were sent SIGTERM, and when everything is done.
_TERMINATION_NS = 2_000_000_000
_LEAVING_NS = 10_000_000_000


class Engine:
    """Supervises the workers of one pool.

    Args:
        crew: Starts the workers.
        size: How many there shall be.
        processes: A list that always holds their processes.

    Attributes:
        jobs: What is not done, by number.
        failure: Makes the exception that every later call raises, once workers cannot be had.
        when_over: Called once all workers have ended.

    Raises:
        Exception: What starting the first workers raises; then none is left.
    """

    def __init__(self, crew: Crew, size: int, processes: list[Any]) -> None:
        self.jobs: dict[int, Job] = {}
        self.failure: Callable[[], BaseException] | None = None
        self.when_over: Callable[[], object] = _do_nothing
        self._crew = crew
        self._size = size
        self._processes = processes
        self._results = crew.results
        self._members: dict[int, Member] = {}
        self._handing = Handing(self._members, crew.max_tasks, self._deliver, self._settle)
        self._inbox: deque[tuple[Callable[..., None], tuple[Any, ...]]] = deque()
        self._spare_queues: list[Any] = []
        self._is_asleep = False
        self._is_closed = False
        self._is_terminated = False
        self._is_over = False
        self._failed_starts = 0.0
        self._retry_ns: int | None = None
        self._poller = select.poll()
        self._poller.register(self._results.fileno(), select.POLLIN)
        try:
            while len(self._members) < size:
                self._hire()
        except BaseException:
            for process in processes:
                getattr(process, "kill", process.terminate)()
            for process in processes:
                process.join()
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

    def drop_waiting(self) -> None:
        """Cancels the jobs of which no task was handed out yet. Returns at once."""
        self.post(self._drop_waiting)

    def terminate(self) -> None:
        """Ends the workers and gives up what is not done. Blocks until they have ended, but for its own thread."""
        self._is_terminated = True
        self.post(_do_nothing)
        if threading.current_thread() is self.thread:
            return
        self.thread.join((_TERMINATION_NS + _RETRY_NS) / 1e9)
        while self.thread.is_alive():  # at the mercy of a worker that was stopped amid a put, or of a callback
            for member in list(self._members.values()):
                member.send(signal.SIGKILL)
            self.thread.join(_RETRY_NS / 1e9)

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
            Leaving(self._members, self._poller, self._crew).kill()
            raise
        finally:
            self._is_over = True
            self._refuse()
            self.when_over()
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
            self._handing.hand_out(now_ns)

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
                    times.append(max(member.heard_ns, now_ns) + SILENCE_NS)
        return max(0, -(-(min(times) - now_ns) // 1_000_000)) if times else None

    # Jobs.

    def _enter(self, source: Source) -> None:
        job = source.job
        if self._is_terminated or self._is_closed:
            job.result.give_up(self._refusal())
        elif self.failure is not None:
            job.result.give_up(self.failure())
        else:
            self.jobs[job.number] = job
            self._handing.sources.append(source)
            source.begin(self.post)

    def _settle(self, job: Job) -> None:
        """Forgets a job that is done."""
        if job.is_exhausted and not job.open_count:
            self.jobs.pop(job.number, None)
            for member in self._members.values():
                member.known_jobs.discard(job.number)

    def _cancel(self, job: Job) -> None:
        if job.number not in self.jobs:
            return
        job.is_cancelled = True
        for source in [source for source in self._handing.sources if source.job is job]:
            source.stop()
            self._handing.sources.remove(source)
        job.is_exhausted = True
        for member in self._members.values():
            if any(task.job is job for task in member.assigned):
                self._handing.take_back(member, DEEPEST)
        self._handing.returned = deque(task for task in self._handing.returned if not self._drops(task))
        self._collect()
        for member in self._members.values():
            if member.assigned and member.assigned[0].job is job:
                self._kill(member, CancelledError())
        self._settle(job)

    def _drop_waiting(self) -> None:
        for source in list(self._handing.sources):
            if not source.job.open_count:
                self._cancel(source.job)
                source.job.result.give_up(CancelledError())

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
        self._handing.clear()
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
                args[0].job.result.give_up(self._refusal())

    def _refusal(self) -> Exception:
        if self._is_terminated:
            return CancelledError("the pool was terminated")
        return ValueError("Pool not running")

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
                        self._handing.returned.append(task)
                else:
                    self._deliver(task, *opened(outcome, content))
                del message, task, content
            del batch

    def _deliver(self, task: Task, is_success: bool, value: Any) -> None:
        job = task.job
        job.open_count -= 1
        job.result.deliver(task.index, is_success, value)
        self._settle(job)

    def _hear(self, member: Member, outcome: int, content: Any) -> None:
        if outcome == READY:
            member.is_ready = True
            self._failed_starts = 0.0
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
            job.result.give_up(self.failure())
            self._cancel(job)

    # Deaths.

    def _expire(self, now_ns: int) -> None:
        """Kills the workers whose task takes longer than it may."""
        for member in self._members.values():
            if not member.assigned or not member.is_ready or member.is_dying:
                continue
            task = member.assigned[0]
            if task.job.timeout_ns is None or now_ns - member.heard_ns < task.job.timeout_ns:
                continue
            self._handing.take_back(member, DEEPEST)
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
        with suppress(ValueError):  # of a list that programs look into, and may change
            self._processes.remove(member.process)
        self._handing.take_back(member, DEEPEST)
        while member.tasks.qsize():
            self._handing.take_back(member, DEEPEST)
        self._spare_queues.append(member.tasks)
        died = WorkerDied(member.process.ident, exitcode)
        for task in member.assigned:  # one at most
            self._lose(member, task, died)
        if not member.is_ready and not member.is_dying:
            self._failed_starts += _KILLED_COUNTS if exitcode == -signal.SIGKILL else 1.0
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
            self._handing.returned.appendleft(task)
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
        leaving = Leaving(self._members, self._poller, self._crew)
        leaving.ask(was_terminated)
        deadline_ns = time.monotonic_ns() + (_TERMINATION_NS if was_terminated else _LEAVING_NS)
        while self._members and (left_ns := deadline_ns - time.monotonic_ns()) > 0:
            self._is_asleep = True  # before it looks into the inbox: who posts looks at this afterwards
            leaving.wait(0 if self._inbox else -(-left_ns // 1_000_000))
            self._is_asleep = False
            self._refuse()
            if self._is_terminated and not was_terminated:
                self._dismiss()
                return
        leaving.kill()


def _same(error: BaseException) -> BaseException:
    return error


def _not_ready(died: WorkerDied) -> BaseException:
    return WorkerDied(died.pid, died.exitcode, "its initializer, like others before it")


def _do_nothing() -> None: ...
