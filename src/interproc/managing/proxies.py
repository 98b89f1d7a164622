# mypy: allow-subclassing-any
"""The proxies of what a SyncManager can share: the standard library's classes over `BaseProxy`, and what is new."""

from __future__ import annotations

import collections.abc
import multiprocessing.managers
from collections.abc import Callable, Iterable, Iterator
from types import GenericAlias
from typing import Any, ClassVar

from interproc.managing.live import LiveDict, LiveList, LiveSet
from interproc.managing.proxy import MADE_BY_METHODS, AutoProxy, BaseProxy, MakeProxyType

_standard: Any = multiprocessing.managers  # typeshed leaves much of it out


class IteratorProxy(BaseProxy, _standard.IteratorProxy):
    """An iterator or generator in the manager."""


class AcquirerProxy(BaseProxy, _standard.AcquirerProxy):
    """A lock or semaphore in the manager."""

    _exposed_ = ("acquire", "release", "locked")

    def locked(self) -> bool:
        """Whether somebody holds it, or a semaphore is at zero; true for a moment only."""
        return bool(self._callmethod("locked"))


class ConditionProxy(AcquirerProxy, _standard.ConditionProxy):
    """A condition in the manager."""

    _exposed_ = _standard.ConditionProxy._exposed_


class EventProxy(BaseProxy, _standard.EventProxy):
    """An event in the manager."""


class BarrierProxy(BaseProxy, _standard.BarrierProxy):
    """A barrier in the manager."""


class NamespaceProxy(BaseProxy, _standard.NamespaceProxy):
    """A namespace in the manager. Lists, dicts and sets among its attributes come live."""

    def __setattr__(self, key: str, value: Any) -> None:
        if key[0] == "_":
            object.__setattr__(self, key, value)
        else:
            self._set_item("__setattr__", key, value)


class ValueProxy(BaseProxy, _standard.ValueProxy):
    """A value in the manager. A list, dict or set comes live."""

    _exposed_ = ("get", "set", "add", "update_with")

    def add(self, amount: Any = 1) -> Any:
        """Adds to the value in one step, whatever others do meanwhile; returns the sum."""
        return self._callmethod("add", (amount,))

    def update_with(self, function: Callable[[Any], Any]) -> Any:
        """Replaces the value by `function(value)` in one step; returns the new one.

        The manager runs the function, while other changes of the value wait: it should be quick, and use no manager.
        """
        return self._callmethod("update_with", (function,))


class ArrayProxy(BaseProxy, _standard.ArrayProxy):
    """An array in the manager."""


class PoolProxy(BaseProxy, _standard.PoolProxy):
    """A pool whose parent is the manager."""


class _ItemProxy(BaseProxy):
    """What proxies of lists and dicts have in common."""

    def __setitem__(self, key: Any, value: Any) -> None:
        self._set_item("__setitem__", key, value)

    def add(self, key: Any, amount: Any = 1) -> Any:
        """Adds to an item in one step, whatever others do meanwhile. In a dict, a missing one counts as zero.

        Returns:
            The sum.
        """
        return self._callmethod("add", (key, amount))


_LIST_EXPOSED = ("add", "clear", "copy", "update_with")
_DICT_EXPOSED = ("__ior__", "__or__", "__reversed__", "__ror__", "add", "fromkeys", "update_with")


class BaseListProxy(_ItemProxy, _standard.BaseListProxy):
    """A list in the manager, without the operators that work in place."""

    _exposed_ = (*_standard.BaseListProxy._exposed_, *_LIST_EXPOSED)

    def __add__(self, value: Any) -> list[Any]:
        result: list[Any] = self._callmethod("__add__", (plain(value),))
        return result

    def __reversed__(self) -> Iterator[Any]:
        return iter(self[::-1])

    def clear(self) -> None:
        """Removes all items."""
        self._callmethod("clear")

    def copy(self) -> list[Any]:
        """Returns a plain list of the items, which is nobody else's."""
        result: list[Any] = self._callmethod("copy")
        return result

    def update_with(self, index: int, function: Callable[[Any], Any]) -> Any:
        """Replaces an item by `function(item)` in one step; returns the new item.

        The manager runs the function, while other changes of the list wait: it should be quick, and use no manager.
        """
        return self._callmethod("update_with", (index, function))


class ListProxy(BaseListProxy, _standard.ListProxy):
    """A list in the manager. Lists, dicts and sets among its items come live."""

    __class_getitem__: ClassVar[Any] = classmethod(GenericAlias)


class DictProxy(_ItemProxy, _standard.DictProxy):
    """A dict in the manager. Lists, dicts and sets among its items come live."""

    _exposed_ = (*_standard.DictProxy._exposed_, *_DICT_EXPOSED)
    _method_to_typeid_: ClassVar[dict[str, str]] = {
        **_standard.DictProxy._method_to_typeid_,
        "__reversed__": "Iterator",
    }

    __class_getitem__: ClassVar[Any] = classmethod(GenericAlias)

    def __or__(self, value: Any) -> Any:
        return self._callmethod("__or__", (plain(value),))

    def __ror__(self, value: Any) -> Any:
        return self._callmethod("__ror__", (plain(value),))

    def __ior__(self, value: Any) -> DictProxy:
        self._callmethod("update", (plain(value),))
        return self

    def __reversed__(self) -> Any:
        return self._callmethod("__reversed__")

    def fromkeys(self, iterable: Iterable[Any], value: Any = None) -> dict[Any, Any]:
        """Returns a plain dict with these keys."""
        return dict.fromkeys(iterable, value)

    def update_with(self, key: Any, function: Callable[[Any], Any], default: Any = None) -> Any:
        """Replaces an item by `function(item)` in one step; returns the new item.

        The manager runs the function, while other changes of the dict wait: it should be quick, and use no manager.

        Args:
            default: What the function is given where there is no item.
        """
        return self._callmethod("update_with", (key, function, default))


_SET_IN_PLACE = {
    "__iand__": "intersection_update",
    "__ior__": "update",
    "__isub__": "difference_update",
    "__ixor__": "symmetric_difference_update",
}
_SET_OPERATORS = (
    *("__and__", "__ge__", "__gt__", "__le__", "__lt__", "__or__", "__rand__", "__ror__", "__rsub__", "__rxor__"),
    *("__sub__", "__xor__"),
)
_BaseSetProxy: Any = MakeProxyType(
    "_BaseSetProxy",
    (
        *("__contains__", "__iter__", "__len__", "add", "clear", "copy", "difference", "difference_update", "discard"),
        *("intersection", "intersection_update", "isdisjoint", "issubset", "issuperset", "pop", "remove"),
        *("symmetric_difference", "symmetric_difference_update", "union", "update"),
        *_SET_OPERATORS,
    ),
)


class SetProxy(_BaseSetProxy):
    """A set in the manager."""

    _method_to_typeid_: ClassVar[dict[str, str]] = {"__iter__": "Iterator"}

    __class_getitem__: ClassVar[Any] = classmethod(GenericAlias)

    def __iter__(self) -> Iterator[Any]:
        return iter(self._getvalue())


def _operator(name: str) -> Callable[[Any, Any], Any]:
    def method(self: Any, value: Any) -> Any:
        return self._callmethod(name, (plain(value),))

    method.__name__ = name
    return method


def _in_place(name: str, method_name: str) -> Callable[[Any, Any], Any]:
    def method(self: Any, value: Any) -> Any:
        value = plain(value)
        if not isinstance(value, (set, frozenset)):
            return NotImplemented
        self._callmethod(method_name, (value,))
        return self

    method.__name__ = name
    return method


for _name in _SET_OPERATORS:
    setattr(SetProxy, _name, _operator(_name))
for _name, _method_name in _SET_IN_PLACE.items():
    setattr(SetProxy, _name, _in_place(_name, _method_name))


def plain(value: Any) -> Any:
    """A copy of what a proxy stands for, where the built-in operators take no proxy; anything else as it is."""
    if isinstance(value, (BaseListProxy, DictProxy, SetProxy)):
        return value._getvalue()
    return value


MADE_BY_METHODS["Iterator"] = (IteratorProxy,)
MADE_BY_METHODS["AsyncResult"] = (AutoProxy,)
_containers: Any = collections.abc  # type checkers take its classes for protocols
_containers.MutableSequence.register(BaseListProxy)
_containers.MutableMapping.register(DictProxy)
_containers.MutableSet.register(SetProxy)

__all__ = [
    "AcquirerProxy",
    "ArrayProxy",
    "BarrierProxy",
    "BaseListProxy",
    "ConditionProxy",
    "DictProxy",
    "EventProxy",
    "IteratorProxy",
    "ListProxy",
    "LiveDict",
    "LiveList",
    "LiveSet",
    "NamespaceProxy",
    "PoolProxy",
    "SetProxy",
    "ValueProxy",
]
