"""Referents: what the server has to know of the containers it keeps.

Which of their methods only read, which return their elements, and what can be done to them in one step beside what
they can do themselves.
"""

from __future__ import annotations

import operator
import threading
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from multiprocessing.managers import Namespace
from multiprocessing.managers import Value as _Value  # type: ignore[attr-defined]  # typeshed leaves it out
from typing import Any

Shape = int
ONE: Shape = 0
"""The result is an element."""
MANY: Shape = 1
"""The result is elements."""
PAIRS: Shape = 2
"""The result is pairs of a key and an element."""

LENT_KINDS = frozenset({list, dict, set})
"""What is changed in place by who got it out of a container. Exactly these: others may be anything."""

_missing = object()


def add_to_item(container: Any, key: Any, amount: Any = 1) -> Any:
    """Adds to an item; a key that a dict has not counts as zero. Returns the sum."""
    if isinstance(container, dict) and key not in container:
        container[key] = amount
    else:
        container[key] = container[key] + amount
    return container[key]


def update_item_with(container: Any, key: Any, function: Callable[[Any], Any], default: Any = None) -> Any:
    """Replaces an item by what a function makes of it, a dict's missing one of `default`. Returns the new item."""
    if isinstance(container, dict):
        value = container[key] = function(container.get(key, default))
    else:
        value = container[key] = function(container[key])
    return value


def add_to_value(value: Any, amount: Any = 1) -> Any:
    """Adds to a value. Returns the sum."""
    value.value = value.value + amount
    return value.value


def update_value_with(value: Any, function: Callable[[Any], Any]) -> Any:
    """Replaces a value by what a function makes of it. Returns the new one."""
    value.value = function(value.value)
    return value.value


def is_locked(lock: Any) -> bool:
    """Whether an RLock is held, or a semaphore at zero: before Python 3.14 they do not say so themselves."""
    if getattr(lock, "_is_owned", bool)():  # by this thread, which could take it again
        return True
    if not lock.acquire(blocking=False):
        return True
    lock.release()
    return False


def holds(container: Any, key: Any, element: Any) -> bool:
    """Whether an item is this very element."""
    if isinstance(container, Namespace):
        found = vars(container).get(key, _missing)
    elif isinstance(container, dict):
        found = container.get(key, _missing)
    else:
        found = container[key]
    return found is element


class Kind:
    """A type of container.

    Attributes:
        reads: The methods that change nothing.
        lends: Those whose results are elements, and in which shape; None where the argument decides.
    """

    def __init__(self, reads: Iterable[str], lends: Mapping[str, Shape | None]) -> None:
        self.reads = frozenset(reads)
        self.lends = lends


_SHARED_READS = ("__contains__", "__len__", "__eq__", "__ne__", "__repr__", "__str__", "copy")

KINDS: Mapping[type, Kind] = {
    list: Kind(
        (*_SHARED_READS, "__add__", "__getitem__", "__mul__", "__reversed__", "__rmul__", "count", "index"),
        {"__getitem__": None},
    ),
    dict: Kind(
        (
            *(*_SHARED_READS, "__getitem__", "__iter__", "__or__", "__reversed__", "__ror__"),
            *("fromkeys", "get", "items", "keys", "values"),
        ),
        {"__getitem__": ONE, "get": ONE, "items": PAIRS, "setdefault": ONE, "values": MANY},
    ),
    set: Kind(
        (
            *(*_SHARED_READS, "__and__", "__ge__", "__gt__", "__iter__", "__le__", "__lt__", "__or__", "__rand__"),
            *("__ror__", "__rsub__", "__rxor__", "__sub__", "__xor__", "difference", "intersection", "isdisjoint"),
            *("issubset", "issuperset", "symmetric_difference", "union"),
        ),
        {},
    ),
    Namespace: Kind(("__getattribute__",), {"__getattribute__": ONE}),
    _Value: Kind(("get",), {"get": ONE}),
}

_ADDED_TO_ITEMS: Mapping[str, Callable[..., Any]] = {"add": add_to_item, "update_with": update_item_with}
_ADDITIONS: Mapping[type, Mapping[str, Callable[..., Any]]] = {
    list: _ADDED_TO_ITEMS,
    dict: _ADDED_TO_ITEMS,
    _Value: {"add": add_to_value, "update_with": update_value_with},
    type(threading.RLock()): {"locked": is_locked},
    threading.Semaphore: {"locked": is_locked},
    threading.BoundedSemaphore: {"locked": is_locked},
}


def method_of(obj: Any, name: str) -> Callable[..., Any] | None:
    """A shared object's method: its own, or one that shared objects of its type have beside those."""
    method: Callable[..., Any] | None = getattr(obj, name, None)
    if method is None and name in _ADDITIONS.get(type(obj), ()):
        return partial(_ADDITIONS[type(obj)][name], obj)
    return method


def shape_of(kind: Kind, name: str, args: tuple[Any, ...]) -> Shape:
    """The shape of the elements that a method returns which returns any."""
    shape = kind.lends[name]
    if shape is None:
        return MANY if isinstance(args[0], slice) else ONE
    return shape


def lent_elements(result: Any, shape: Shape) -> tuple[Any, list[Any]]:
    """Returns a result as it can travel, and its elements that can be changed in place, in order."""
    if shape == ONE:
        return result, [result] if type(result) in LENT_KINDS else []
    result = list(result)
    elements = result if shape == MANY else map(operator.itemgetter(1), result)
    return result, [element for element in elements if type(element) in LENT_KINDS]


def ident_of_element(loan: int, position: int) -> int:
    """The identity of a lent element: of its loan, and its position there."""
    return loan << 32 | position


def place_of_element(ident: int) -> tuple[int, int]:
    """The loan of a lent element, and its position there."""
    return divmod(ident, 1 << 32)


__all__ = [
    "KINDS",
    "LENT_KINDS",
    "MANY",
    "ONE",
    "PAIRS",
    "Kind",
    "Shape",
    "holds",
    "ident_of_element",
    "lent_elements",
    "method_of",
    "place_of_element",
    "shape_of",
]
