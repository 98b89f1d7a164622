"""BaseProxy: stands for an object that a manager keeps.

Built on the standard library's, whose own transport serves where the manager is one of the standard library or the
serializer is XML-RPC.
"""

from __future__ import annotations

import multiprocessing.managers
import warnings
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from multiprocessing.process import current_process
from typing import Any

from interproc.errors import AbandonedWarning
from interproc.managing.client import Client, NotOurs, clients, error_of, result_of
from interproc.managing.live import Live, wrap
from interproc.util import Finalize

_standard: Any = multiprocessing.managers  # typeshed leaves much of it out
_Standard: Any = multiprocessing.managers.BaseProxy
RebuildProxy = _standard.RebuildProxy
_ABANDONED = "process {pid} was killed while it held this manager's lock; what it guards may be half changed"


class BaseProxy(_Standard):  # type: ignore[misc]
    """Stands for a shared object, and calls its methods in the manager.

    Any number of threads may use a proxy, and forked children too. It may be pickled at any time; the object lives as
    long as a process has a proxy of it, or another shared object contains one.

    Args:
        token: Names the object.
        serializer: "pickle" or "xmlrpclib".
        manager: The manager through which it was made here, if it was.
        authkey: What the manager asks for; None for the manager's or the process's.
        exposed: The names of its methods.
        incref: Whether the manager shall count this proxy.
        manager_owned: Whether it is part of another shared object, in the manager itself.

    Raises:
        ManagerDied: The manager has ended.

    Differs: a call to a manager that has ended raises `ManagerDied`. Elements of shared lists, dicts, namespaces and
        values that are lists, dicts or sets come live: see `interproc.managing.live`.
    """

    _client: Client | None

    def __init__(
        self,
        token: Any,
        serializer: str,
        manager: Any = None,
        authkey: bytes | None = None,
        exposed: Any = None,
        incref: bool = True,
        manager_owned: bool = False,
    ) -> None:
        self._client = None
        super().__init__(token, serializer, manager, authkey, exposed, incref, manager_owned)

    def _callmethod(self, methodname: str, args: tuple[Any, ...] = (), kwds: Mapping[str, Any] = {}) -> Any:
        """Calls a method of the shared object and returns a copy of its result.

        Blocks until the manager has answered.

        Raises:
            ManagerDied: The manager has ended.
            RemoteError: There is no such method, or its result cannot be sent.
            Exception: What the method raised.
        """
        client = self._client
        if client is None or client.is_inherited:
            client = self._find_client()
            if client is None:
                return super()._callmethod(methodname, args, kwds)
        kind, result = client.call(self._id, methodname, args, kwds)
        if kind == "#RETURN":
            return result
        if kind == "#LOAN":
            return wrap(client, self._authkey, *result)
        if kind == "#PROXY":
            return self._make_proxy(client, *result)
        if kind == "#ABANDONED":
            result, pid = result
            warnings.warn(_ABANDONED.format(pid=pid), AbandonedWarning, stacklevel=3)
            return result
        try:
            raise error_of(kind, result)
        finally:
            del result  # the exception's traceback leads here

    def _find_client(self) -> Client | None:
        if self._serializer == "pickle":
            self._client = client_of(self._token.address, self._authkey)
        return self._client

    def _make_proxy(self, client: Client, exposed: Any, token: Any) -> Any:
        token.address = self._token.address
        registry = MADE_BY_METHODS if self._manager is None else self._manager._registry
        proxy_type = registry[token.typeid][-1] if token.typeid in registry else AutoProxy
        return adopt(client, proxy_type, token, self._serializer, self._manager, self._authkey, exposed)

    def _incref(self) -> None:
        client = None if self._owned_by_manager else self._find_client()
        if client is None:
            super()._incref()
            return
        if not _take_adopted(client, self._id):
            result_of(*client.call(None, "hold", (self._id,)))
        self._close = Finalize(self, client.drop, (self._id,))

    def __reduce__(self) -> tuple[Any, ...]:
        rebuild, (kind, *rest) = super().__reduce__()
        return rebuild, (AutoProxy if kind is _standard.AutoProxy else kind, *rest)

    def _set_item(self, methodname: str, key: Any, value: Any) -> None:
        """Stores an item, unless it is a live element that is there already and was changed in place."""
        if isinstance(value, Live) and value._is_item(self._client, self._id, key):
            return
        self._callmethod(methodname, (key, value))


MADE_BY_METHODS: dict[str, Any] = {}
"""What methods return proxies of, for proxies without a manager: as registered, by type name."""


def client_of(address: Any, authkey: bytes) -> Client | None:
    """The client of the manager at an address; None if that is one of the standard library."""
    try:
        return clients.get(address, authkey)
    except NotOurs:
        return None


def adopt(
    client: Client, proxy_type: Any, token: Any, serializer: str, manager: Any, authkey: bytes, exposed: Any
) -> Any:
    """Makes the proxy of an object that the manager counts for this process already."""
    client.adopted.ident = token.id
    try:
        return proxy_type(token, serializer, manager=manager, authkey=authkey, exposed=exposed)
    finally:
        if _take_adopted(client, token.id):  # the class counts in its own way
            client.drop(token.id)


def _take_adopted(client: Client, ident: str) -> bool:
    """Whether the manager counts this proxy already: the one that this thread is making."""
    if getattr(client.adopted, "ident", None) != ident:
        return False
    client.adopted.ident = None
    return True


def MakeProxyType(name: str, exposed: Iterable[str]) -> Any:
    """Returns a class of proxies with these methods, each time the same."""
    return _make_proxy_type(name, tuple(exposed))


@cache
def _make_proxy_type(name: str, exposed: tuple[str, ...]) -> Any:
    return type(name, (BaseProxy,), {**{method: _method(method) for method in exposed}, "_exposed_": exposed})


def _method(name: str) -> Callable[..., Any]:
    def method(self: Any, /, *args: Any, **kwds: Any) -> Any:
        return self._callmethod(name, args, kwds)

    method.__name__ = name
    method.__doc__ = f"Calls `{name}` of the shared object, and returns a copy of its result."
    return method


def AutoProxy(
    token: Any,
    serializer: str,
    manager: Any = None,
    authkey: bytes | None = None,
    exposed: Any = None,
    incref: bool = True,
    manager_owned: bool = False,
) -> Any:
    """Returns a proxy with the methods that the shared object has."""
    key: bytes = authkey or (current_process().authkey if manager is None else manager._authkey)
    if exposed is None:
        client = client_of(token.address, key) if serializer == "pickle" else None
        if client is None:
            return _standard.AutoProxy(token, serializer, manager, key, exposed, incref, manager_owned)
        exposed = client.ask("get_methods", token)
    proxy_type = MakeProxyType(f"AutoProxy[{token.typeid}]", exposed)
    proxy = proxy_type(
        token,
        serializer,
        manager=manager,
        authkey=key,
        incref=incref,
        manager_owned=manager_owned,
    )
    proxy._isauto = True
    return proxy


__all__ = ["AutoProxy", "BaseProxy", "MakeProxyType", "RebuildProxy", "adopt", "client_of"]
