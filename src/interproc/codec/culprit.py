"""Finding the part of an object that cannot be sent.

The search tries to pickle the object's parts, goes into the first that fails, and stops at one whose parts are all
fine. It calls the `__reduce__` methods of the user's objects once more for each level above them.
"""

import functools
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from types import FunctionType, MethodType
from typing import Any

from interproc.codec.reducers import merge_reducers

_MAX_DEPTH = 100
_MAX_PROBES = 20_000
_MAX_KEY_LENGTH = 60
_ATOMS = frozenset((type(None), bool, int, float, complex, str, bytes, bytearray, type(...), type(NotImplemented)))
_BUILT_IN_CONTAINERS = (dict, list, tuple, set, frozenset)


@dataclass(frozen=True, slots=True)
class Culprit:
    """The part that cannot be sent.

    Attributes:
        path: How to reach it, like `args[2]['cb']`.
        value: The part itself.
        error: What pickling it raised.
    """

    path: str
    value: object
    error: Exception


class _Search:
    """One search: what was looked at, and how often it may still try."""

    def __init__(self, pickle_part: Callable[[object], object]) -> None:
        self._pickle_part = pickle_part
        self._probes_left = _MAX_PROBES
        self._trail: list[object] = []

    def first_failing(self, parts: Iterator[tuple[str, object]], path: str) -> Culprit | None:
        for suffix, part in parts:
            if type(part) in _ATOMS or any(part is passed for passed in self._trail):
                continue
            if self._probes_left == 0:
                return None
            self._probes_left -= 1
            try:
                self._pickle_part(part)
            except Exception as error:
                self._trail.append(part)
                return Culprit(path + suffix, part, error)
        return None


def find_culprit(names: Mapping[str, object], pickle_part: Callable[[object], object]) -> Culprit | None:
    """Returns the deepest part that cannot be sent, as far as a bounded search finds it.

    Args:
        names: The objects to look into, by the names that paths begin with.
        pickle_part: Pickles one part and drops the result, or raises.

    Returns:
        None if each of `names` can be pickled alone.
    """
    search = _Search(pickle_part)
    culprit = search.first_failing(iter(names.items()), "")
    for _ in range(_MAX_DEPTH):
        if culprit is None:
            break
        deeper = search.first_failing(_parts_as_far_as_possible(culprit.value), culprit.path)
        if deeper is None:
            break
        culprit = deeper
    return culprit


def _parts_as_far_as_possible(value: object) -> Iterator[tuple[str, object]]:
    """Ends the search where the user's containers and `__reduce__` methods fail: then the whole is the culprit."""
    try:
        yield from _parts(value)
    except Exception:
        return


def _parts(value: object) -> Iterator[tuple[str, object]]:
    match value:
        case dict():
            yield from _parts_of_dict(value)
        case tuple() if names := getattr(value, "_fields", None):
            for name, part in zip(names, value, strict=True):
                yield f".{name}", part
        case list() | tuple() | deque():
            for index, part in enumerate(value):
                yield f"[{index}]", part
        case set() | frozenset():
            for part in value:
                yield f".<element {_short(part)}>", part
        case FunctionType():
            yield from _parts_of_function(value)
        case MethodType():
            yield ".__self__", value.__self__
            yield ".__func__", value.__func__
        case functools.partial():
            yield ".func", value.func
            for index, part in enumerate(value.args):
                yield f".args[{index}]", part
            for name, part in value.keywords.items():
                yield f".keywords[{name!r}]", part
        case type():
            for name, part in vars(value).items():
                yield f".{name}", part
    if type(value) not in _BUILT_IN_CONTAINERS and not isinstance(value, (FunctionType, MethodType, type)):
        yield from _parts_of_reduced(value)


def _parts_of_dict(value: dict[Any, Any]) -> Iterator[tuple[str, object]]:
    for key, part in value.items():
        yield f".<key {_short(key)}>", key
        yield f"[{_short(key)}]", part


def _parts_of_function(function: FunctionType) -> Iterator[tuple[str, object]]:
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
        try:
            yield f".<closure>.{name}", cell.cell_contents
        except ValueError:  # the variable has no value yet
            continue
    for name in function.__code__.co_names:
        if name in function.__globals__:
            yield f".<globals>.{name}", function.__globals__[name]
    for index, part in enumerate(function.__defaults__ or ()):
        yield f".__defaults__[{index}]", part
    for name, part in (function.__kwdefaults__ or {}).items():
        yield f".__kwdefaults__[{name!r}]", part


def _parts_of_reduced(value: object) -> Iterator[tuple[str, object]]:
    reducer = merge_reducers().get(type(value))
    reduced: Any = reducer(value) if reducer else value.__reduce_ex__(5)
    if isinstance(reduced, str):
        return
    _, arguments, state, items, pairs = (*reduced, None, None, None)[:5]
    slots: object = None
    if isinstance(state, tuple) and len(state) == 2 and isinstance(state[1], dict):
        state, slots = state
    for attributes in (state, slots):
        if isinstance(attributes, dict):
            for name, part in attributes.items():
                yield f".{name}", part
        elif attributes is not None:
            yield ".<state>", attributes
    for index, part in enumerate(arguments or ()):
        yield f".<argument {index}>", part
    for index, part in enumerate(items or ()):
        yield f"[{index}]", part
    for key, part in pairs or ():
        yield f".<key {_short(key)}>", key
        yield f"[{_short(key)}]", part


def _short(key: object) -> str:
    """The key as one would write it; never runs the user's `__repr__`."""
    if type(key) in _ATOMS:
        text = repr(key)
        return text if len(text) <= _MAX_KEY_LENGTH else text[:_MAX_KEY_LENGTH] + "..."
    return f"<{type(key).__name__}>"
