"""Live elements: lists, dicts and sets that were got out of a manager's container.

They are lists, dicts and sets for whoever takes such, with the content that they had when they were last read; and
what is read through their methods is what the manager has, and what is changed is changed there. Reading asks the
manager only if something was changed meanwhile. Pickled, copied or stored elsewhere they are plain copies.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import wraps
from typing import Any, TypeVar

from interproc.managing.client import Client, clients, result_of
from interproc.managing.referents import LENT_KINDS, MANY, ONE, Shape, ident_of_element

T = TypeVar("T", bound=type)

_ATOMS = frozenset({type(None), bool, int, float, complex, str, bytes})


class Loan:
    """What a call to the manager got: it keeps the elements there for this process.

    Attributes:
        number: Its name in the manager.
    """

    __slots__ = ("_authkey", "_client", "_place", "number")

    def __init__(self, client: Client, authkey: bytes, number: int, place: int) -> None:
        self._client = client
        self._authkey = authkey
        self._place = place
        self.number = number

    def __del__(self) -> None:
        if not self._client.is_inherited:
            self._client.drop(self.number)

    @property
    def client(self) -> Client:
        """The way to the manager; a forked child has its own."""
        if self._client.is_inherited:
            return clients.get(self._client.address, self._authkey)
        return self._client

    def call(self, position: int, name: str, args: tuple[Any, ...] = (), kwds: dict[str, Any] | None = None) -> Any:
        """Calls a method of an element, and returns its result; of a change with the numbers before and after it."""
        client = self.client
        kind, result = client.call(self.ident_of(position), name, args, kwds or {})
        if kind == "#LOAN":
            return wrap(client, self._authkey, *result)
        return result if kind == "#CHANGED" else result_of(kind, result)

    def ident_of(self, position: int) -> int:
        """How the manager knows an element."""
        return ident_of_element(self.number, position)

    def changes(self) -> int:
        """How far the changes of the elements' container have come."""
        return self.client.number(self._place)


class Live:
    """What live elements have in common.

    Attributes:
        _seen: How far the changes of the element's container had come when the content was read.
    """

    _loan: Loan
    _position: int
    _seen: int | None

    def _content(self) -> Any:
        """A shallow copy of the content as it is here, of the built-in type."""
        raise NotImplementedError

    def _fill(self, content: Any) -> None:
        """Replaces the content here."""
        raise NotImplementedError

    def _refresh(self) -> None:
        """Brings the content up to date."""
        changes = self._loan.changes()
        if changes != self._seen:
            self._fill(self._loan.call(self._position, "#GETVALUE"))
            self._seen = changes

    def _change(self, name: str, args: tuple[Any, ...], kwds: dict[str, Any]) -> tuple[Any, bool]:
        """Changes the element in the manager; also returns whether the same change makes the content right here."""
        result, before, after = self._loan.call(self._position, name, args, kwds)
        is_exact = before == self._seen and not kwds and all(map(_is_atom, args))
        if is_exact:
            self._seen = after
        return result, is_exact

    def _plain(self) -> Any:
        """A plain copy that shares nothing with this, whose lists and dicts nobody may change but who gets it."""
        with self._loan.client.lock:
            self._refresh()
            content = self._content()
            has_containers = _has_containers(content.values() if isinstance(content, dict) else content)
            return self._loan.call(self._position, "#GETVALUE") if has_containers else content

    def __reduce_ex__(self, protocol: Any) -> Any:
        with self._loan.client.lock:
            self._refresh()
            return type(self).__base__, (self._content(),)

    def __deepcopy__(self, memo: dict[int, Any]) -> Any:
        from copy import deepcopy

        return deepcopy(self._plain(), memo)

    def __copy__(self) -> Any:
        return self._plain()

    def _is_item(self, client: Client | None, ident: str, key: Any) -> bool:
        """Whether this very element is an item of the container with this identity."""
        if client is None or self._loan.client is not client:
            return False
        return bool(result_of(*client.call(ident, "#HOLDS", (key, self._loan.ident_of(self._position)))))


def _is_atom(value: Any) -> bool:
    if type(value) is slice:
        return _is_atom(value.start) and _is_atom(value.stop) and _is_atom(value.step)
    return type(value) in _ATOMS


def _current(value: Any) -> Any:
    """An argument, brought up to date."""
    if isinstance(value, Live):
        value._refresh()
    return value


def _plain(value: Any) -> Any:
    """An operand, in place of a live one a plain copy."""
    return value._plain() if isinstance(value, Live) else value


def _reading(original: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(original)
    def method(self: Any, *args: Any) -> Any:
        for value in args:
            _current(value)
        with self._loan.client.lock:
            self._refresh()
            return original(self, *args)

    return method


def _changing(original: Callable[..., Any]) -> Callable[..., Any]:
    name = original.__name__
    returns_self = name.startswith("__i")

    @wraps(original)
    def method(self: Any, *args: Any, **kwds: Any) -> Any:
        for value in args:
            _current(value)
        with self._loan.client.lock:
            result, is_exact = self._change(name, args, kwds)
            if is_exact:
                original(self, *args)
            else:
                self._refresh()
        return self if returns_self and result is not NotImplemented else result

    return method


def _live(*, reads: Iterable[str], changes: Iterable[str]) -> Callable[[T], T]:
    """Gives a class those methods of its base, as reading and changing what the manager has."""

    def finish(kind: T) -> T:
        for names, make in ((reads, _reading), (changes, _changing)):
            for name in names:
                setattr(kind, name, make(getattr(kind.__base__, name)))
        return kind

    return finish


def _elements(method: Callable[..., Any]) -> Callable[..., Any]:
    """For a method that returns an element: asks the manager for one that can be changed in place."""
    name = method.__name__

    @wraps(method)
    def ask_for_containers(self: Any, *args: Any, **kwds: Any) -> Any:
        with self._loan.client.lock:
            self._refresh()
            found = method(self, *args, **kwds)
            return self._loan.call(self._position, name, args, kwds) if type(found) in LENT_KINDS else found

    return ask_for_containers


def _has_containers(values: Iterable[Any]) -> bool:
    return not LENT_KINDS.isdisjoint(map(type, values))


@_live(
    reads=(
        *("__contains__", "__eq__", "__ge__", "__gt__", "__le__", "__len__", "__lt__", "__ne__", "__repr__"),
        *("count", "index"),
    ),
    changes=(
        *("__delitem__", "__iadd__", "__imul__", "__setitem__", "append", "clear", "extend", "insert", "pop"),
        *("remove", "reverse", "sort"),
    ),
)
class LiveList(list[Any], Live):
    """A list inside a manager's container."""

    def _content(self) -> list[Any]:
        return list.copy(self)

    def _fill(self, content: list[Any]) -> None:
        list.__setitem__(self, slice(None), content)

    def __getitem__(self, index: Any) -> Any:
        with self._loan.client.lock:
            self._refresh()
            found = list.__getitem__(self, index)
            is_live = _has_containers(found) if isinstance(index, slice) else type(found) in LENT_KINDS
            return self._loan.call(self._position, "__getitem__", (index,)) if is_live else found

    def __iter__(self) -> Iterator[Any]:
        return iter(self[:])

    def __reversed__(self) -> Iterator[Any]:
        return iter(self[::-1])

    def __add__(self, value: Any) -> Any:
        return self._plain() + _plain(value)

    def __mul__(self, value: Any) -> Any:
        return self._plain() * value

    __rmul__ = __mul__

    def copy(self) -> list[Any]:
        """A copy, which is a plain list, as is what is in it."""
        copied: list[Any] = self._plain()
        return copied

    def add(self, index: int, amount: Any = 1) -> Any:
        """Adds to an item in one step, whatever others do meanwhile; returns the sum."""
        return _in_one_step(self, "add", index, amount)

    def update_with(self, index: int, function: Callable[[Any], Any]) -> Any:
        """Replaces an item by `function(item)` in one step; returns the new item. The manager runs the function."""
        return _in_one_step(self, "update_with", index, function)


@_live(
    reads=(*("__contains__", "__eq__", "__len__", "__ne__", "__repr__", "__reversed__", "keys"),),
    changes=("__delitem__", "__ior__", "__setitem__", "clear", "pop", "popitem", "update"),
)
class LiveDict(dict[Any, Any], Live):
    """A dict inside a manager's container."""

    def _content(self) -> dict[Any, Any]:
        return dict(dict.items(self))  # a copy() asks the methods of this class

    def _fill(self, content: dict[Any, Any]) -> None:
        dict.clear(self)
        dict.update(self, content)

    __getitem__ = _elements(dict.__getitem__)
    get = _elements(dict.get)
    fromkeys: Any = staticmethod(dict.fromkeys)  # which makes plain ones

    def setdefault(self, key: Any, default: Any = None) -> Any:
        """Returns the item of this key, which is the default if it had none before."""
        with self._loan.client.lock:
            item = self._loan.call(self._position, "setdefault", (key, default))
            self._refresh()
            return item

    def __iter__(self) -> Iterator[Any]:
        return iter(list(self.keys()))

    def copy(self) -> dict[Any, Any]:
        """A copy, which is a plain dict, as is what is in it."""
        copied: dict[Any, Any] = self._plain()
        return copied

    def __or__(self, value: Any) -> Any:
        return self._plain() | _plain(value)

    def __ror__(self, value: Any) -> Any:
        return value | self._plain()

    def items(self) -> Any:
        """The pairs of key and item, as they are now."""
        return self._now().items()

    def values(self) -> Any:
        """The items, as they are now."""
        return self._now().values()

    def _now(self) -> dict[Any, Any]:
        with self._loan.client.lock:
            self._refresh()
            now = self._content()
            return dict(self._loan.call(self._position, "items")) if _has_containers(now.values()) else now

    def add(self, key: Any, amount: Any = 1) -> Any:
        """Adds to an item in one step, whatever others do meanwhile; a missing one counts as zero. Returns the sum."""
        return _in_one_step(self, "add", key, amount)

    def update_with(self, key: Any, function: Callable[[Any], Any], default: Any = None) -> Any:
        """Replaces an item by `function(item)` in one step; returns the new item. The manager runs the function.

        Args:
            default: What the function is given where there is no item.
        """
        return _in_one_step(self, "update_with", key, function, default)


@_live(
    reads=(
        *("__and__", "__contains__", "__eq__", "__ge__", "__gt__", "__le__", "__len__", "__lt__", "__ne__", "__or__"),
        *("__rand__", "__repr__", "__ror__", "__rsub__", "__rxor__", "__sub__", "__xor__", "copy", "difference"),
        *("intersection", "isdisjoint", "issubset", "issuperset", "symmetric_difference", "union"),
    ),
    changes=(
        *("__iand__", "__ior__", "__isub__", "__ixor__", "add", "clear", "difference_update", "discard"),
        *("intersection_update", "remove", "symmetric_difference_update", "update"),
    ),
)
class LiveSet(set[Any], Live):
    """A set inside a manager's container."""

    def _content(self) -> set[Any]:
        return set.copy(self)

    def _fill(self, content: set[Any]) -> None:
        set.clear(self)
        set.update(self, content)

    def __iter__(self) -> Iterator[Any]:
        return iter(self._plain())

    def pop(self) -> Any:
        """Removes some element and returns it."""
        with self._loan.client.lock:
            taken, _ = self._change("pop", (), {})
            set.discard(self, taken)  # another order here: its own pop() might take another
            return taken


def _in_one_step(element: Any, name: str, *args: Any) -> Any:
    with element._loan.client.lock:
        result, _, _ = element._loan.call(element._position, name, args)
        element._refresh()
    return result


_LIVE_KINDS: dict[type, Callable[[Any], Any]] = {list: LiveList, dict: LiveDict, set: LiveSet}


def wrap(client: Client, authkey: bytes, number: int, place: int, seen: int, shape: Shape, result: Any) -> Any:
    """Makes the elements that a reply lends live.

    Args:
        number: The loan's name in the manager.
        place: Where changes of the elements' container are noted.
        seen: How far they had come before the elements were read.
        shape: Where in the result the elements are.
    """
    loan = Loan(client, authkey, number, place)
    position = -1

    def live(element: Any) -> Any:
        nonlocal position
        make = _LIVE_KINDS.get(type(element))
        if make is None:
            return element
        position += 1
        made = make(element)
        made._loan, made._position, made._seen = loan, position, seen
        return made

    if shape == ONE:
        return live(result)
    if shape == MANY:
        return [live(element) for element in result]
    return [(key, live(element)) for key, element in result]


__all__ = ["Live", "LiveDict", "LiveList", "LiveSet", "Loan", "wrap"]
