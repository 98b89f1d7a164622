"""Managers and proxies: the standard library's own implementation."""

import multiprocessing.managers
from multiprocessing.managers import (
    BaseListProxy,
    BaseManager,
    BaseProxy,
    DictProxy,
    ListProxy,
    Namespace,
    RemoteError,
    Server,
    SharedMemoryManager,
    SharedMemoryServer,
    SyncManager,
    Token,
    ValueProxy,
)
from typing import Any

_standard: Any = multiprocessing.managers  # typeshed leaves these out
AcquirerProxy = _standard.AcquirerProxy
ArrayProxy = _standard.ArrayProxy
AutoProxy = _standard.AutoProxy
BarrierProxy = _standard.BarrierProxy
ConditionProxy = _standard.ConditionProxy
EventProxy = _standard.EventProxy
IteratorProxy = _standard.IteratorProxy
MakeProxyType = _standard.MakeProxyType
NamespaceProxy = _standard.NamespaceProxy
PoolProxy = _standard.PoolProxy

__all__ = [
    "AcquirerProxy",
    "ArrayProxy",
    "AutoProxy",
    "BarrierProxy",
    "BaseListProxy",
    "BaseManager",
    "BaseProxy",
    "ConditionProxy",
    "DictProxy",
    "EventProxy",
    "IteratorProxy",
    "ListProxy",
    "MakeProxyType",
    "Namespace",
    "NamespaceProxy",
    "PoolProxy",
    "RemoteError",
    "Server",
    "SharedMemoryManager",
    "SharedMemoryServer",
    "SyncManager",
    "Token",
    "ValueProxy",
]
