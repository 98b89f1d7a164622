"""Libraries that offer pools of workers and nothing else that is compared: loky, pebble and mpire."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import as_completed
from contextlib import contextmanager
from importlib import import_module
from typing import Any, ClassVar

from interproc.bench.peers.peer import Link, Offer, Peer, Traffic, Workers


class PoolPeer(Peer):
    """What they have in common."""

    offers: ClassVar[frozenset[Offer]] = frozenset({"pool"})

    def queue(self, traffic: Traffic) -> Link:
        """Is not offered."""
        raise NotImplementedError

    def churn(self) -> None:
        """Is not offered."""
        raise NotImplementedError


class Loky(PoolPeer):
    """The loky package, whose executor joblib uses. It starts its workers by a method of its own."""

    name = "loky"
    module = "loky"

    @contextmanager
    def pool(self, count: int) -> Iterator[Workers]:
        """Makes an executor."""
        loky: Any = import_module("loky")
        with loky.ProcessPoolExecutor(count) as executor:

            def in_any_order(function: Callable[[Any], Any], items: Sequence[Any]) -> list[Any]:
                return [future.result() for future in as_completed(executor.submit(function, item) for item in items)]

            yield Workers(lambda function, items: list(executor.map(function, items)), in_any_order)


class Pebble(PoolPeer):
    """The pebble package. Its `map` gives values in order only."""

    name = "pebble"
    module = "pebble"

    @contextmanager
    def pool(self, count: int) -> Iterator[Workers]:
        """Makes a pool of forked processes."""
        pebble: Any = import_module("pebble")
        multiprocessing: Any = import_module("multiprocessing")
        with pebble.ProcessPool(count, context=multiprocessing.get_context("fork")) as pool:

            def in_order(function: Callable[[Any], Any], items: Sequence[Any]) -> list[Any]:
                return list(pool.map(function, items, chunksize=1).result())

            yield Workers(in_order, in_order)


class Mpire(PoolPeer):
    """The mpire package."""

    name = "mpire"
    module = "mpire"

    @contextmanager
    def pool(self, count: int) -> Iterator[Workers]:
        """Makes a pool of forked processes that stay."""
        mpire: Any = import_module("mpire")
        # Wrapped, because mpire would take an array for the arguments of a call.
        with mpire.WorkerPool(count, start_method="fork", keep_alive=True) as pool:

            def in_order(function: Callable[[Any], Any], items: Sequence[Any]) -> list[Any]:
                return list(pool.map(function, [(item,) for item in items], chunk_size=1))

            def in_any_order(function: Callable[[Any], Any], items: Sequence[Any]) -> list[Any]:
                return list(pool.imap_unordered(function, [(item,) for item in items], chunk_size=1))

            yield Workers(in_order, in_any_order)
