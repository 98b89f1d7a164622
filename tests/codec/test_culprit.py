"""An error names the part of an object that cannot be sent."""

import collections
import dataclasses
import functools
import pickle
import threading
from typing import Any

import pytest

import interproc
from interproc.connection import Pipe
from interproc.errors import UnsendableError

LOCK = threading.Lock()


@dataclasses.dataclass
class Record:
    """A dataclass with room for anything."""

    first: object = None
    second: object = None


class Slotted:
    """A class without a `__dict__`."""

    __slots__ = ("lock", "number")

    def __init__(self) -> None:
        self.number = 1
        self.lock = LOCK

    def method(self) -> None:
        """Bound, it carries its object along."""


Pair = collections.namedtuple("Pair", ["left", "right"])


def closure() -> Any:
    """A function that cannot go without its lock."""
    held = LOCK
    return lambda: held


@pytest.mark.parametrize(
    ("obj", "path"),
    [
        (LOCK, "obj"),
        ([1, 2, {"cb": LOCK}], "obj[2]['cb']"),
        ((1, [LOCK]), "obj[1][0]"),
        ({LOCK: 1}, "obj.<key <lock>>"),
        ({(1, 2): LOCK}, "obj[<tuple>]"),
        ({3: {b"k": LOCK}}, "obj[3][b'k']"),
        ({"k" * 100: LOCK}, f"obj['{'k' * 59}...]"),
        ({1, LOCK}, "obj.<element <lock>>"),
        (collections.deque([1, LOCK]), "obj[1]"),
        (collections.OrderedDict(a=LOCK), "obj['a']"),
        (Record(1, [LOCK]), "obj.second[0]"),
        (Slotted(), "obj.lock"),
        (Pair(1, LOCK), "obj.right"),
        (functools.partial(print, 1, LOCK), "obj.args[1]"),
        (functools.partial(dict, end=LOCK), "obj.keywords['end']"),
        (closure(), "obj.<closure>.held"),
        ([lambda: LOCK], "obj[0].<globals>.LOCK"),
        (Slotted().method, "obj.__self__.lock"),
        (ValueError("text", LOCK), "obj.<argument 1>"),
        ((number for number in range(3)), "obj"),
        ([memoryview(b"abc")], "obj[0]"),
    ],
)
def test_path_leads_to_the_culprit(obj: object, path: str) -> None:
    queue: interproc.Queue[object] = interproc.Queue()
    with pytest.raises(UnsendableError) as caught:
        queue.put(obj)
    assert caught.value.path == path
    assert str(caught.value).startswith(f"{path} cannot be sent to another process: ")
    assert caught.value.__cause__ is not None
    assert queue.empty()


def test_open_file_is_not_sent() -> None:
    queue: interproc.Queue[object] = interproc.Queue()
    with open(__file__) as file, pytest.raises(UnsendableError, match=r"obj\[0\]"):
        queue.put([file])


@pytest.mark.parametrize("kind", [pickle.PicklingError, TypeError])
def test_error_is_what_programs_catch(kind: type[Exception]) -> None:
    one, _other = Pipe()
    with pytest.raises(kind, match=r"obj\[0\]"):
        one.send([LOCK])


def test_cycle_is_no_trap() -> None:
    queue: interproc.Queue[object] = interproc.Queue()
    cycle: list[Any] = [LOCK]
    cycle.insert(0, cycle)
    with pytest.raises(UnsendableError, match=r"obj\[1\]"):
        queue.put(cycle)


def test_search_is_bounded() -> None:
    queue: interproc.Queue[object] = interproc.Queue()
    with pytest.raises(UnsendableError) as caught:
        queue.put([*((number,) for number in range(20_100)), LOCK])
    assert caught.value.path == "obj"


class Silent:
    """Refuses without a word."""

    def __reduce__(self) -> Any:
        raise AttributeError


def test_error_without_a_text_is_named() -> None:
    queue: interproc.Queue[object] = interproc.Queue()
    with pytest.raises(UnsendableError, match=r"obj\[1\] cannot be sent to another process: AttributeError\(\)"):
        queue.put([0, Silent()])


def test_error_travels() -> None:
    error = pickle.loads(pickle.dumps(UnsendableError("text", "obj[0]")))
    assert (str(error), error.path) == ("text", "obj[0]")
