"""Tasks, the jobs that they are parts of, and sources: where the tasks of a job come from, as workers ask for them."""

from __future__ import annotations

import itertools
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Protocol

from interproc.pooling.messages import CALL, CHUNK, ITEM, STARRED, STARRED_CHUNK
from interproc.sealing import Sealer

_PLAIN = frozenset({type(None), bool, int, float, complex, str, bytes})
_NUMBERS = frozenset({type(None), bool, int, float, complex})
_LIGHT_BYTES = 1024

_job_numbers = itertools.count(1)
_task_numbers = itertools.count(1)


class Result(Protocol):
    """Who waits for the outcomes of a job. Called by the supervising thread."""

    def deliver(self, index: int, is_success: bool, value: Any) -> None:
        """Takes the outcome of one task."""
        ...

    def set_count(self, count: int) -> None:
        """Learns how many tasks there were, once it is known."""
        ...

    def give_up(self, error: BaseException) -> None:
        """Is done, whatever is missing."""
        ...

    def begins(self) -> bool:
        """Whether the job is still wanted, now that one of its tasks is about to be handed out."""
        ...


class Job:
    """One call of a pool's method: a function, and what shall happen to its tasks.

    Attributes:
        number: What messages call it.
        definition: What a worker has to know of it; None where each task says all.
        open_count: Tasks that were taken from its source and have no outcome yet.
        is_exhausted: Whether its source has no more tasks.
    """

    def __init__(
        self, result: Result, name: str, mapper: int, definition: Any, timeout_ns: int | None = None, retries: int = 0
    ) -> None:
        self.number = next(_job_numbers)
        self.result = result
        self.name = name
        self.mapper = mapper
        self.definition = definition
        self.timeout_ns = timeout_ns
        self.retries = retries
        self.open_count = 0
        self.is_exhausted = False
        self.is_cancelled = False

    def describe(self, index: int) -> str:
        """Names one task."""
        if self.mapper == CALL:
            return self.name
        part = "chunk" if self.mapper in (CHUNK, STARRED_CHUNK) else "item"
        return f"{self.name}, {part} {index}"


class Task:
    """What a worker does in one go, and what is lost with it.

    Attributes:
        is_light: Whether its message is small and may go in one batch with others.
        death_count: How many workers have died of it.
    """

    __slots__ = ("content", "death_count", "index", "is_light", "is_sealed", "job", "number")

    def __init__(self, job: Job, index: int, is_sealed: bool, content: Any, is_light: bool) -> None:
        self.job = job
        self.index = index
        self.is_sealed = is_sealed
        self.content = content
        self.is_light = is_light
        self.number = next(_task_numbers)
        self.death_count = 0


class Packer:
    """Makes tasks of what a function is to be applied to. For any thread.

    Args:
        seals: Whether what is not plain is pickled apart; False between threads.
    """

    def __init__(self, seals: bool) -> None:
        self._sealer = Sealer() if seals else None

    def pack(self, job: Job, index: int, item: Any) -> Task:
        """Makes one task. Runs methods of the user's that pickle; raises what they raise."""
        kind = type(item)
        if kind in _NUMBERS or self._sealer is None:
            return Task(job, index, False, item, True)
        if kind in _PLAIN or ((kind is tuple or kind is list) and _PLAIN.issuperset(map(type, item))):
            return Task(job, index, False, item, len(item) <= 16 and _is_light(item))
        sealed = self._sealer.seal(item)
        return Task(job, index, True, sealed, len(sealed) == 1 and len(sealed[0]) <= _LIGHT_BYTES)


def _is_light(item: Any) -> bool:
    return type(item) in (str, bytes) or all(type(part) in _NUMBERS or len(part) <= 16 for part in item)


class Source:
    """Where the tasks of a job come from. Used by the supervising thread."""

    job: Job

    def begin(self, post: Callable[..., None]) -> None:
        """Learns how to reach the supervising thread from others, before anything else."""

    def take(self, count: int) -> list[Task]:
        """Returns up to so many tasks; fewer where more have yet to come."""
        raise NotImplementedError

    def stop(self) -> None:
        """Is not asked for more."""


class OneTask(Source):
    """A source of a single task that is ready."""

    def __init__(self, job: Job, task: Task) -> None:
        self.job = job
        self._tasks = [task]

    def take(self, count: int) -> list[Task]:
        """Returns the task."""
        tasks, self._tasks = self._tasks, []
        self.job.is_exhausted = True
        return tasks


class FromSequence(Source):
    """A source that makes a task of each item, or chunk of items, of something at hand.

    Args:
        chunksize: How many items make a task; 0 for one that is not in a chunk.
        allowance: How many more tasks may be taken; None for no limit.
    """

    def __init__(
        self, job: Job, items: Sequence[Any], chunksize: int, packer: Packer, allowance: Allowance | None = None
    ) -> None:
        self.job = job
        self._items = items
        self._chunksize = chunksize
        self._packer = packer
        self._allowance = allowance
        self._index = 0
        self._count = -(-len(items) // max(1, chunksize))

    def take(self, count: int) -> list[Task]:
        """Makes up to so many tasks. What cannot be sent fails the task at once."""
        count = min(count, self._count - self._index)
        if self._allowance is not None:
            count = self._allowance.draw(count)
        first, self._index = self._index, self._index + count
        tasks = []
        for index, item in zip(itertools.count(first), self._items_from(first, count)):
            task = pack_or_fail(self._packer, self.job, index, item)
            if task is not None:
                tasks.append(task)
        if self._index == self._count:
            self._items = ()
            self.job.is_exhausted = True
            self.job.result.set_count(self._count)
        return tasks

    def _items_from(self, first: int, count: int) -> Iterable[Any]:
        size = self._chunksize
        if size == 0:
            return self._items[first : first + count]
        return (list(self._items[start : start + size]) for start in range(first * size, (first + count) * size, size))

    def stop(self) -> None:
        """Lets go of the items."""
        self._items = ()
        self._count = self._index


def pack_or_fail(packer: Packer, job: Job, index: int, item: Any) -> Task | None:
    """Makes a task, or delivers why it cannot be made."""
    try:
        return packer.pack(job, index, item)
    except BaseException as error:
        job.result.deliver(index, False, error)
        return None


class Allowance:
    """How many more tasks a job may take while its results wait to be fetched.

    The supervising thread draws, whoever fetches results refunds.
    """

    def __init__(self, count: int) -> None:
        self._left = deque([None] * count)  # its append and pop are atomic
        self.is_missed = False
        self.announce: Callable[[], object] = lambda: None

    def draw(self, count: int) -> int:
        """Takes up to so many and returns how many."""
        for drawn in range(count):
            if not self._left:
                self.is_missed = True
                if not self._left:  # else it was refunded meanwhile
                    return drawn
            self._left.popleft()
        return count

    def refund(self) -> None:
        """Gives one back."""
        self._left.append(None)
        if self.is_missed:
            self.is_missed = False
            self.announce()


def is_at_hand(iterable: object) -> bool:
    """Whether going over something runs no code of the user's, so that it cannot block."""
    return type(iterable) in (list, tuple, range, str, bytes, set, frozenset, dict)


def mapper_for(is_starred: bool, is_chunked: bool) -> int:
    """Returns how a function is applied to tasks of such a kind."""
    if is_starred:
        return STARRED_CHUNK if is_chunked else STARRED
    return CHUNK if is_chunked else ITEM
