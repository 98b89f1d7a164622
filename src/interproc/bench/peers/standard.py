"""multiprocessing, and interproc, which has the same interface and batches besides."""

import platform
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from importlib import import_module
from multiprocessing.context import BaseContext
from typing import Any, ClassVar

from interproc.bench.peers.peer import (
    Consumer,
    Copies,
    Duplex,
    Link,
    Offer,
    Peer,
    Producer,
    Traffic,
    Workers,
    get_one,
    put_each,
)


def do_nothing() -> None:
    """What a started process runs."""


class QueueLink(Link):
    """One of the queues."""

    def __init__(self, queue: Any) -> None:
        self._queue = queue

    def producer(self) -> Producer:
        """Uses the inherited queue."""
        put = self._queue.put
        lend = getattr(self._queue, "empty_array", None)
        return Producer(put, getattr(self._queue, "put_many", put_each(put)), lend)

    def consumer(self, index: int) -> Consumer:
        """Uses the inherited queue."""
        get = self._queue.get
        return Consumer(get, getattr(self._queue, "get_many", get_one(get)))


class PipeLink(Duplex):
    """A Pipe."""

    def __init__(self, context: BaseContext, raw: bool) -> None:
        self._near, self._far = context.Pipe()
        self._raw = raw

    def near(self) -> tuple[Producer, Consumer]:
        """Uses the first connection."""
        return self._open(self._near)

    def far(self) -> tuple[Producer, Consumer]:
        """Uses the second connection."""
        return self._open(self._far)

    def _open(self, connection: Any) -> tuple[Producer, Consumer]:
        put = connection.send_bytes if self._raw else connection.send
        get = connection.recv_bytes if self._raw else connection.recv
        return Producer(put, put_each(put)), Consumer(get, get_one(get))


class SharingLink(Copies):
    """Queues through which handles to one shared copy go."""

    def producer(self) -> Producer:
        """Shares what is put, and puts the handle into all queues."""
        share, put_handle = import_module("interproc").share, super().producer().put

        def put(item: Any) -> None:
            put_handle(share(item))

        return Producer(put, put_each(put))

    def consumer(self, index: int) -> Consumer:
        """Gets what the handles lead to."""
        get_handle = super().consumer(index).get

        def get() -> Any:
            return get_handle().get()

        return Consumer(get, get_one(get))


class Multiprocessing(Peer):
    """The standard library."""

    name = "multiprocessing"
    module = "multiprocessing"
    offers: ClassVar[frozenset[Offer]] = frozenset(
        {"queue", "array queue", "simple_queue", "pipe", "fan out", "process", "import", "context", "pool"}
    )

    def load(self) -> str:
        """Returns the version of Python."""
        return f"Python {platform.python_version()}"

    def queue(self, traffic: Traffic) -> Link:
        """Makes a Queue."""
        return QueueLink(self._context("fork").Queue(traffic.capacity))

    def churn(self) -> None:
        """Makes a Queue and drops it."""
        self._context("fork").Queue()

    def simple_queue(self, traffic: Traffic) -> Link:
        """Makes a SimpleQueue."""
        return QueueLink(self._context("fork").SimpleQueue())

    def pipe(self, traffic: Traffic) -> Duplex:
        """Makes a Pipe."""
        return PipeLink(self._context("fork"), traffic.raw)

    def start_and_join(self, method: str) -> None:
        """Starts and joins a Process."""
        process = self._context(method).Process(target=do_nothing)  # type: ignore[attr-defined]
        process.start()
        process.join()

    def context(self) -> BaseContext:
        """Returns the context of fork."""
        return self._context("fork")

    @contextmanager
    def pool(self, count: int) -> Iterator[Workers]:
        """Makes a Pool of forked processes."""
        with self._context("fork").Pool(count) as pool:
            yield Workers(
                lambda function, items: pool.map(function, items, chunksize=1),
                lambda function, items: list(pool.imap_unordered(function, items)),
            )

    def _context(self, method: str) -> BaseContext:
        context: BaseContext = import_module(self.module).get_context(method)
        return context


class Interproc(Multiprocessing):
    """This package."""

    name = "interproc"
    module = "interproc"

    def load(self) -> str:
        """Imports interproc and returns its version."""
        version: str = import_module(self.module).__version__
        return version

    def fan_out(self, traffic: Traffic) -> Link:
        """Makes queues for the handles of what is shared."""
        return SharingLink([self.queue(replace(traffic, consumers=1)) for _ in range(traffic.consumers)])
