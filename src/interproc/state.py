"""The one object that exists once per process.

After fork the child keeps what it inherited: segments stay mapped, and descriptors keep their numbers.
"""

from __future__ import annotations

import os
import threading
from weakref import WeakValueDictionary

from interproc import _core

TYPE_CHECKING = False  # without importing typing: see ARCHITECTURE.md on import time
if TYPE_CHECKING:
    from typing import Any


class State:
    """What this process shares with others, and what it knows of them.

    Attributes:
        lock_kind: "kernel" or "liveness": how locks notice that their holder died.
        segments: The segments mapped here of which handles exist, by their uuid, so that none is mapped twice.
        sealed: The sealed memory that this process holds, by device and inode, for the same reason.
        main_is_foreign: Whether some process of this program was started with another `__main__` than ours.
        lock: Guards `segments` and `sealed`; nothing that blocks runs under it.
    """

    def __init__(self, lock_kind: str) -> None:
        self.lock_kind = lock_kind
        self.segments: WeakValueDictionary[bytes, _core.Segment] = WeakValueDictionary()
        self.sealed: WeakValueDictionary[tuple[int, int], Any] = WeakValueDictionary()
        self.main_is_foreign = False
        self.lock = threading.RLock()

    def remember(self, segment: _core.Segment) -> _core.Segment:
        """Returns the segment to use from now on: an equal one that was already here, or this one."""
        with self.lock:
            return self.segments.setdefault(segment.uuid, segment)

    def reset_after_fork(self) -> None:
        """Replaces the lock: another thread of the parent may have held it while forking."""
        self.lock = threading.RLock()


state = State(_core.choose_lock(os.environ.get("INTERPROC_LOCK")))
os.register_at_fork(after_in_child=state.reset_after_fork)
