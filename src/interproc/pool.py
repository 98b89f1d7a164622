"""Pools: the standard library's own implementation."""

import multiprocessing.pool
from multiprocessing.pool import (
    ApplyResult,
    AsyncResult,
    IMapIterator,
    IMapUnorderedIterator,
    MapResult,
    Pool,
    ThreadPool,
)
from typing import Any

_standard: Any = multiprocessing.pool  # typeshed leaves these out
ExceptionWithTraceback = _standard.ExceptionWithTraceback
MaybeEncodingError = _standard.MaybeEncodingError
RemoteTraceback = _standard.RemoteTraceback

__all__ = [
    "ApplyResult",
    "AsyncResult",
    "ExceptionWithTraceback",
    "IMapIterator",
    "IMapUnorderedIterator",
    "MapResult",
    "MaybeEncodingError",
    "Pool",
    "RemoteTraceback",
    "ThreadPool",
]
