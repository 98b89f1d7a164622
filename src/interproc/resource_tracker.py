"""The process that removes what programs leave behind: the standard library's own, one for both packages.

Nothing of interproc needs it, and it knows nothing of shared memory of ours.
"""

import multiprocessing.resource_tracker
from multiprocessing.resource_tracker import ResourceTracker, ensure_running, getfd, main, register
from typing import Any

from interproc import named_memory

_standard: Any = multiprocessing.resource_tracker  # typeshed leaves these out
ReentrantCallError: type[RuntimeError] = getattr(_standard, "ReentrantCallError", RuntimeError)  # later in 3.11
_CLEANUP_FUNCS = _standard._CLEANUP_FUNCS
_resource_tracker: ResourceTracker = _standard._resource_tracker


def unregister(name: str, rtype: str) -> None:
    """Takes back a registration.

    Args:
        name: What was registered.
        rtype: Its kind, like "shared_memory".

    Differs: does nothing for shared memory that `SharedMemory` of interproc made, which nobody registers. Programs that
        keep the standard library's tracker away from memory that they have attached to need no change.
    """
    if rtype != "shared_memory" or not named_memory.is_recorded(name):
        _resource_tracker.unregister(name, rtype)


__all__ = [
    "ReentrantCallError",
    "ResourceTracker",
    "ensure_running",
    "getfd",
    "main",
    "register",
    "unregister",
]
