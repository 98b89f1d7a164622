"""What the child processes of these tests run, and the classes of what they are sent."""

import resource
from array import array
from pathlib import Path
from typing import Any


class Record:
    """A user's class that holds buffers."""

    def __init__(self, name: str, parts: Any) -> None:
        self.name = name
        self.parts = parts


def send_back(tasks: Any, results: Any) -> None:
    """Sends each numbered object back as it came, then overwrites what can be written in it, and tells so."""
    while (item := tasks.get()) is not ...:
        results.put(item)
        overwrite(item)
        results.put("overwritten")


def send_back_over_pipe(conn: Any) -> None:
    while (item := conn.recv()) is not ...:
        conn.send(item)


def overwrite(obj: Any) -> None:
    """Overwrites everything inside an object that can be written in place."""
    if isinstance(obj, (list, tuple)):
        for part in obj:
            overwrite(part)
    elif isinstance(obj, dict):
        overwrite(list(obj.values()))
    elif isinstance(obj, Record):
        overwrite(obj.parts)
    elif isinstance(obj, (bytearray, array)):
        memoryview(obj).cast("B")[:] = b"\xff" * (len(obj) * memoryview(obj).itemsize)
    elif type(obj).__name__ == "ndarray" and obj.flags.writeable:
        import numpy as np

        obj[...] = np.zeros((), obj.dtype)


def put_with_little_memory(queue: Any, size_bytes: int, results: Any) -> None:
    """Puts a large object where hardly any address space is left, tells what happened, and then puts a small one."""
    import numpy as np

    large = np.ones(size_bytes, dtype=np.uint8)
    queue.put("ready")
    before = resource.getrlimit(resource.RLIMIT_AS)
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + (1 << 20), before[1]))
    try:
        queue.put({"large": large})
        outcome = "put"
    except (MemoryError, OSError) as error:
        outcome = type(error).__name__
    finally:
        resource.setrlimit(resource.RLIMIT_AS, before)
    results.put(outcome)
    queue.put("small")
