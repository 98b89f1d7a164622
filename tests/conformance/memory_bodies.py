"""What the child processes of the tests of named memory run."""

import os
from typing import Any

from interproc.shared_memory import ShareableList, SharedMemory


def write_into(memory: SharedMemory | str, data: bytes) -> None:
    """Writes into memory that was sent, or is attached to by name."""
    memory = SharedMemory(memory) if isinstance(memory, str) else memory
    memory.buf[: len(data)] = data


def make_and_end(results: Any, size: int, data: bytes) -> None:
    """Makes memory, and leaves it for others."""
    memory = SharedMemory(create=True, size=size)
    memory.buf[: len(data)] = data
    results.put(memory.name)


def make_in_grandchild_and_end(method: str, results: Any, size: int, data: bytes) -> None:
    """Lets a child of this process make memory, which outlives both."""
    import interproc

    context: Any = interproc.get_context(method)
    child = context.Process(target=make_and_end, args=(results, size, data))
    child.start()
    child.join()


def make_list_and_end(results: Any, items: list[Any], conn: Any) -> None:
    """Makes a list, sends it, and keeps it until told to end."""
    made = ShareableList(items)
    results.put(made)
    conn.recv()


def replace_item(items: ShareableList, position: int, value: Any) -> None:
    items[position] = value


def make_if_first(name: str, barrier: Any, results: Any) -> None:
    """Tries to make memory of a name at the same time as others, and tells whether it was the one."""
    barrier.recv()
    try:
        memory = SharedMemory(name, create=True, size=8)
    except FileExistsError:
        results.put(None)
    else:
        memory.buf[:8] = os.getpid().to_bytes(8, "little")
        results.put(os.getpid())
        barrier.recv()
