"""Named shared memory: the standard library's own implementation."""

from multiprocessing.shared_memory import (
    ShareableList,
    SharedMemory,
)

__all__ = [
    "ShareableList",
    "SharedMemory",
]
