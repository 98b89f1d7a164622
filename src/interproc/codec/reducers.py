"""The reducers that programs and libraries have registered for their types."""

from __future__ import annotations

import copyreg
from collections.abc import Callable
from multiprocessing.reduction import ForkingPickler

TYPE_CHECKING = False  # without importing typing: see ARCHITECTURE.md on import time
if TYPE_CHECKING:
    from typing import Any


def merge_reducers() -> dict[type, Callable[[Any], Any]]:
    """Returns the functions that reduce objects of a type, those registered with multiprocessing before copyreg's."""
    registered: dict[type, Callable[[Any], Any]] = ForkingPickler._extra_reducers  # type: ignore[attr-defined]
    return {**copyreg.dispatch_table, **registered}
