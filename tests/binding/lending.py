"""What the tests of lending share."""

from typing import Any


def blocks(queue: Any) -> int:
    count: int = queue.statistics()["blocks_used"]
    return count


def lend(queue: Any, fill: float = 3, shape: Any = (512, 300), dtype: Any = float, order: str = "C") -> Any:
    array = queue.empty_array(shape, dtype, order)
    array[...] = fill
    return array


def counted(queue: Any, name: str) -> int:
    count: int = queue.statistics()[name]
    return count
