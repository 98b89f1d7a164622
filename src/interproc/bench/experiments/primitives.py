"""What one operation on a lock, an event or a value costs, in one process that nobody disturbs."""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import repeat
from time import perf_counter
from typing import Any, Literal

from interproc.bench.peers import Peer
from interproc.bench.trial import Sample
from interproc.bench.units import SECONDS, Unit

Operation = Literal[
    "lock",
    "semaphore",
    "event.set",
    "event.is_set",
    "condition.notify",
    "value",
    "atomic",
    "array item",
    "create lock",
    "create value",
]


@dataclass(frozen=True)
class Primitive:
    """`count` times one operation."""

    operation: Operation
    needs: Literal["context"] = "context"
    unit: Unit = SECONDS
    first_count: int = 64

    def measure(self, peer: Peer, count: int) -> Sample:
        """Returns the time of one."""
        run = _OPERATIONS[self.operation](peer.context())
        run(1)
        start_s = perf_counter()
        run(count)
        elapsed_s = perf_counter() - start_s
        return Sample(elapsed_s / count, elapsed_s)


def _each(call: Callable[[], object]) -> Callable[[int], None]:
    def run(count: int) -> None:
        for _ in repeat(None, count):
            call()

    return run


def _taking(lock: Any) -> Callable[[int], None]:
    acquire, release = lock.acquire, lock.release

    def run(count: int) -> None:
        for _ in repeat(None, count):
            acquire()
            release()

    return run


def _notifying(condition: Any) -> Callable[[int], None]:
    def run(count: int) -> None:
        notify = condition.notify
        with condition:
            for _ in repeat(None, count):
                notify()

    return run


def _adding_under_lock(value: Any) -> Callable[[int], None]:
    def run(count: int) -> None:
        lock = value.get_lock()
        for _ in repeat(None, count):
            with lock:
                value.value += 1

    return run


def _adding(value: Any) -> Callable[[int], None]:
    """In one step, where that is offered."""
    if not hasattr(value, "add"):
        return _adding_under_lock(value)

    def run(count: int) -> None:
        add = value.add
        for _ in repeat(None, count):
            add(1)

    return run


def _reading_items(array: Any) -> Callable[[int], None]:
    def run(count: int) -> None:
        for _ in repeat(None, count):
            array[3]

    return run


_OPERATIONS: dict[Operation, Callable[[Any], Callable[[int], None]]] = {
    "lock": lambda context: _taking(context.Lock()),
    "semaphore": lambda context: _taking(context.Semaphore(2)),
    "event.set": lambda context: _each(context.Event().set),
    "event.is_set": lambda context: _each(context.Event().is_set),
    "condition.notify": lambda context: _notifying(context.Condition()),
    "value": lambda context: _adding_under_lock(context.Value("l")),
    "atomic": lambda context: _adding(context.Value("l")),
    "array item": lambda context: _reading_items(context.Array("d", 10)),
    "create lock": lambda context: _each(context.Lock),
    "create value": lambda context: _each(lambda: context.Value("l")),
}
