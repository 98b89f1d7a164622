"""A source that goes over the user's iterable in a thread of its own.

So an iterable that takes its time, or waits for results of the same pool, holds up nobody else. It is read no further
ahead than workers ask.
"""

from __future__ import annotations

import itertools
import queue
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from interproc.pooling.tasks import Allowance, Job, Packer, Source, Task


class FromIterable(Source):
    """A source that makes a task of each item, or chunk of items, of an iterable.

    Args:
        chunksize: How many items make a task; 0 for one that is not in a chunk.
        allowance: How many more tasks may be taken; None for no limit.
    """

    def __init__(
        self, job: Job, iterable: Iterable[Any], chunksize: int, packer: Packer, allowance: Allowance | None = None
    ) -> None:
        self.job = job
        self._iterable: Iterable[Any] | None = iterable
        self._chunksize = chunksize
        self._packer = packer
        self._allowance = allowance
        self._demand: queue.SimpleQueue[int] = queue.SimpleQueue()  # zero: stop
        self._ordered_count = 0
        self._is_stopped = False
        self._arrived: deque[Task] = deque()
        self._post: Callable[..., None] = _post_nowhere

    def begin(self, post: Callable[..., None]) -> None:
        """Starts the thread."""
        self._post = post
        threading.Thread(target=self._feed, name="interproc-pool-feeder", daemon=True).start()

    def take(self, count: int) -> list[Task]:
        """Returns what has arrived, and orders what is missing."""
        tasks = [self._arrived.popleft() for _ in range(min(count, len(self._arrived)))]
        missing = count - len(tasks) - self._ordered_count
        if missing > 0 and not self.job.is_exhausted:
            missing = missing if self._allowance is None else self._allowance.draw(missing)
            if missing:
                self._ordered_count += missing
                self._demand.put(missing)
        self._settle()
        return tasks

    def stop(self) -> None:
        """Lets the thread end as soon as the iterable returns."""
        self._is_stopped = True
        self._arrived.clear()
        self._demand.put(0)

    def _feed(self) -> None:
        index = 0
        failure: BaseException | None = None
        try:
            parts = self._parts()
            while not self._is_stopped:
                for _ in range(self._demand.get()):
                    try:
                        part = next(parts)
                    except StopIteration:
                        return
                    self._post(self._arrive, index, self._pack(index, part))
                    del part
                    index += 1
        except BaseException as error:
            failure = error
        finally:
            self._iterable = parts = None  # type: ignore[assignment]
            self._post(self._end, index, failure)

    def _parts(self) -> Iterator[Any]:
        assert self._iterable is not None
        items = iter(self._iterable)
        if self._chunksize == 0:
            return items
        return iter(lambda: list(itertools.islice(items, self._chunksize)), [])

    def _pack(self, index: int, part: Any) -> Task | BaseException:
        try:
            return self._packer.pack(self.job, index, part)
        except BaseException as error:
            return error

    def _arrive(self, index: int, task: Task | BaseException) -> None:
        self._ordered_count -= 1
        if self._is_stopped:
            return
        if isinstance(task, Task):
            self._arrived.append(task)
        else:
            self.job.result.deliver(index, False, task)

    def _end(self, count: int, failure: BaseException | None) -> None:
        self._is_ended = True
        if failure is not None:
            self.job.result.deliver(count, False, failure)
            count += 1
        self._count = count
        self._settle()

    _is_ended = False
    _count = 0

    def _settle(self) -> None:
        """Once nothing is left of it, says so."""
        if self._is_ended and not self._arrived and not self.job.is_exhausted:
            self.job.is_exhausted = True
            self.job.result.set_count(self._count)


def _post_nowhere(*_: object) -> None:
    raise AssertionError("a source is begun before it is used")
