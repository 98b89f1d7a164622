"""Forking while other threads import.

A child of fork has one thread. What another thread was importing stays half imported there, and locked: whoever imports
it waits for ever. The supervising thread forks at any time, so it waits for a moment without imports. CPython's
import system keeps a lock for each module that is being imported, and takes the lock of all imports whenever it looks
one up: who holds that keeps new imports from beginning.
"""

from __future__ import annotations

import _imp
import importlib
import sys
import threading
import time
from collections.abc import Callable
from typing import Any

_bootstrap: Any = getattr(importlib, "_bootstrap")  # noqa: B009  # typeshed leaves it out
# An import that takes longer may be that of a program that uses pools while it is imported.
_PATIENCE_SECONDS = 1.0
_PAUSE_SECONDS = 0.002


def start_without_imports(start: Callable[[], None]) -> None:
    """Calls what forks while no other thread imports anything. Waits a second at most, then calls it all the same."""
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while True:
        _imp.acquire_lock()
        try:
            if not _others_import() or time.monotonic() > deadline:
                start()
                return
        finally:
            _imp.release_lock()
        time.sleep(_PAUSE_SECONDS)


def forget_imports_of_others() -> None:
    """What a child of fork does first: what others were importing nevertheless is taken as it is."""
    if _imp.lock_held():
        _imp.release_lock()
    for name in _names_that_others_import():
        del _bootstrap._module_locks[name]
        spec = getattr(sys.modules.get(name), "__spec__", None)
        if spec is not None:
            spec._initializing = False


def _others_import() -> bool:
    return bool(_names_that_others_import())


def _names_that_others_import() -> list[str]:
    mine = threading.get_ident()
    locks = [(name, reference()) for name, reference in list(_bootstrap._module_locks.items())]
    return [name for name, lock in locks if lock is not None and lock.owner not in (None, mine)]
