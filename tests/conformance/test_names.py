"""`import interproc as multiprocessing`: every public name is there, and means the same."""

import importlib
import inspect
import multiprocessing
import multiprocessing.connection
import multiprocessing.context
import multiprocessing.queues
import queue
from typing import Any

import pytest

import interproc
from interproc.context import SharedMemoryContext
from tests.conformance import bodies
from tests.contexts import Children

SUBMODULES = [
    "connection",
    "context",
    "dummy",
    "managers",
    "pool",
    "process",
    "queues",
    "reduction",
    "shared_memory",
    "sharedctypes",
    "synchronize",
    "util",
]


def test_every_public_name_is_there() -> None:
    assert set(multiprocessing.__all__) <= set(interproc.__all__)
    assert all(hasattr(interproc, name) for name in interproc.__all__)
    assert (interproc.SUBDEBUG, interproc.SUBWARNING) == (5, 25)


@pytest.mark.parametrize("name", SUBMODULES)
def test_every_public_name_of_a_submodule_is_there(name: str) -> None:
    ours = importlib.import_module(f"interproc.{name}")
    standard = importlib.import_module(f"multiprocessing.{name}")
    public = getattr(standard, "__all__", None) or [
        member for member, value in vars(standard).items() if inspect.isclass(value) and not member.startswith("_")
    ]
    assert [member for member in public if not hasattr(ours, member)] == []


def test_every_method_of_a_standard_context_is_there(context: SharedMemoryContext) -> None:
    assert isinstance(context, multiprocessing.context.BaseContext)
    standard: Any = multiprocessing.get_context(context.get_start_method())
    for name in dir(standard):
        assert hasattr(context, name)
    assert issubclass(context.Process, standard.Process)


@pytest.mark.parametrize("kind", ["Queue", "JoinableQueue", "SimpleQueue"])
def test_queues_offer_the_methods_of_standard_ones(kind: str) -> None:
    ours, standard = getattr(interproc.queues, kind), getattr(multiprocessing.queues, kind)
    assert [name for name in vars(standard) if not name.startswith("_") and not hasattr(ours, name)] == []


def test_connection_offers_the_methods_of_the_standard_one() -> None:
    standard = multiprocessing.connection.Connection
    ours = importlib.import_module("interproc.connection").Connection
    assert [name for name in dir(standard) if not name.startswith("_") and not hasattr(ours, name)] == []


def test_queue_classes_are_generic() -> None:
    numbers = interproc.Queue[int](3)
    assert isinstance(numbers, interproc.Queue)
    assert numbers.maxsize == 3


def test_errors_are_the_ones_users_catch() -> None:
    assert interproc.TimeoutError is multiprocessing.TimeoutError
    assert interproc.BufferTooShort is multiprocessing.BufferTooShort
    assert importlib.import_module("interproc.queues").Empty is queue.Empty
    assert issubclass(interproc.UnsendableError, TypeError)


def test_whole_vocabulary_works(context: SharedMemoryContext, children: Children) -> None:
    children.start(bodies.use_the_vocabulary, context.get_start_method())
    children.join()


def test_default_start_method_is_shared_with_multiprocessing() -> None:
    before = multiprocessing.get_start_method(allow_none=True)
    try:
        interproc.set_start_method("spawn", force=True)
        assert multiprocessing.get_start_method() == interproc.get_start_method() == "spawn"
        assert interproc.get_context() is interproc.get_context("spawn")
        with pytest.raises(RuntimeError, match="already been set"):
            interproc.set_start_method("fork")
        with pytest.raises(ValueError, match="cannot find context for 'nonsense'"):
            interproc.set_start_method("nonsense", force=True)
    finally:
        multiprocessing.set_start_method(before, force=True)


def test_making_a_queue_does_not_fix_the_start_method() -> None:
    before = multiprocessing.get_start_method(allow_none=True)
    try:
        multiprocessing.set_start_method(None, force=True)
        interproc.Queue[int]()
        interproc.Pipe()
        assert interproc.get_start_method(allow_none=True) is None
    finally:
        multiprocessing.set_start_method(before, force=True)
