"""Peer: what the experiments ask of a library. Whatever it does not offer it does not list in `offers`."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from importlib import import_module, metadata
from multiprocessing.context import BaseContext
from typing import Any, ClassVar, Literal

Offer = Literal["queue", "array queue", "simple_queue", "pipe", "fan out", "process", "import", "context", "pool"]


@dataclass(frozen=True)
class Traffic:
    """What a link is going to carry, for libraries that have to be told."""

    message_bytes: int = 8
    raw: bool = False
    """Nothing but bytes objects: libraries with calls for those use them."""
    capacity: int = 0
    """How many messages may wait; 0 for no limit."""
    consumers: int = 1
    backlog: int = 0
    """How many messages wait before the first is taken, where that is known."""


@dataclass(frozen=True)
class Producer:
    """The calls that send, bound and ready: the timed loops call nothing else."""

    put: Callable[[Any], object]
    put_many: Callable[[Sequence[Any]], object]
    lend: Callable[[int], Any] | None = None
    """Makes an array of so many float64 in the library's own memory, for `put`; None where it lends none."""


@dataclass(frozen=True)
class Consumer:
    """The calls that receive; `get_many` returns at least one message and at most as many as asked for."""

    get: Callable[[], Any]
    get_many: Callable[[int], Sequence[Any]]


@dataclass(frozen=True)
class Workers:
    """A pool's calls: both apply a function to items, one in each task, and return all values."""

    map: Callable[[Callable[[Any], Any], Sequence[Any]], list[Any]]
    imap_unordered: Callable[[Callable[[Any], Any], Sequence[Any]], list[Any]]


class Link(ABC):
    """A one-way connection. Made before the fork; each worker then opens its own end."""

    @abstractmethod
    def producer(self) -> Producer:
        """Opens an end that sends."""

    @abstractmethod
    def consumer(self, index: int) -> Consumer:
        """Opens the receiving end of one consumer."""


class Duplex(Link):
    """A two-way connection between two ends; as a link it leads from the near to the far one."""

    @abstractmethod
    def near(self) -> tuple[Producer, Consumer]:
        """Opens the one end."""

    @abstractmethod
    def far(self) -> tuple[Producer, Consumer]:
        """Opens the other end."""

    def producer(self) -> Producer:
        """Opens the near end to send."""
        return self.near()[0]

    def consumer(self, index: int) -> Consumer:
        """Opens the far end to receive."""
        return self.far()[1]


class TwoLinks(Duplex):
    """Two queues, there and back."""

    def __init__(self, there: Link, back: Link) -> None:
        self._there = there
        self._back = back

    def near(self) -> tuple[Producer, Consumer]:
        """Opens the end that sends there."""
        return self._there.producer(), self._back.consumer(0)

    def far(self) -> tuple[Producer, Consumer]:
        """Opens the end that sends back."""
        return self._back.producer(), self._there.consumer(0)


class Copies(Link):
    """A queue for each consumer: what is put goes into all of them."""

    def __init__(self, links: Sequence[Link]) -> None:
        self._links = links

    def producer(self) -> Producer:
        """Opens an end that sends to all."""
        puts = [link.producer().put for link in self._links]

        def put(item: Any) -> None:
            for each in puts:
                each(item)

        return Producer(put, put_each(put))

    def consumer(self, index: int) -> Consumer:
        """Opens the receiving end of one consumer."""
        return self._links[index].consumer(0)


class Peer(ABC):
    """One library."""

    name: ClassVar[str]
    module: ClassVar[str]
    offers: ClassVar[frozenset[Offer]]

    def load(self) -> str:
        """Imports the library and returns its version.

        Raises:
            ImportError: It is not installed.
        """
        import_module(self.module)
        return metadata.version(self.name)

    @abstractmethod
    def queue(self, traffic: Traffic) -> Link:
        """Makes a queue."""

    @abstractmethod
    def churn(self) -> None:
        """Makes a queue and drops it."""

    def fan_out(self, traffic: Traffic) -> Link:
        """Makes a link that brings every message to every consumer; here the message is sent to one after the other."""
        return Copies([self.queue(replace(traffic, consumers=1)) for _ in range(traffic.consumers)])

    def simple_queue(self, traffic: Traffic) -> Link:
        """Makes a SimpleQueue."""
        raise NotImplementedError

    def pipe(self, traffic: Traffic) -> Duplex:
        """Makes a two-way pipe."""
        raise NotImplementedError

    def start_and_join(self, method: str) -> None:
        """Runs a process that does nothing, started by the named method."""
        raise NotImplementedError

    def context(self) -> BaseContext:
        """Returns what makes locks, events and values."""
        raise NotImplementedError

    def pool(self, count: int) -> AbstractContextManager[Workers]:
        """Makes a pool of so many workers."""
        raise NotImplementedError


def put_each(put: Callable[[Any], object]) -> Callable[[Sequence[Any]], object]:
    """`put_many` of a library without: one by one."""

    def put_many(items: Sequence[Any]) -> None:
        for item in items:
            put(item)

    return put_many


def get_one(get: Callable[[], Any]) -> Callable[[int], Sequence[Any]]:
    """`get_many` of a library without: batches of one."""

    def get_many(max_items: int) -> Sequence[Any]:
        return (get(),)

    return get_many
