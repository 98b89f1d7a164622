"""What the child processes of the tests of snapshots run."""

import os
import signal
from typing import Any


def describe(snapshot: Any) -> dict[str, Any]:
    """What a reader sees of a dict with an array 'numbers' in it."""
    numbers = snapshot.get()["numbers"]
    again = [snapshot.get()["numbers"] for _ in range(8)]
    return {
        "sum": int(numbers.sum()),
        "writeable": numbers.flags.writeable,
        "one place": {array.ctypes.data for array in again} == {numbers.ctypes.data},
        "mappings": mappings_of_sealed_memory(),
    }


def report(snapshot: Any, results: Any) -> None:
    results.put(describe(snapshot))


def report_from_queue(snapshots: Any, results: Any) -> None:
    results.put(describe(snapshots.get()))


def report_from_connection(conn: Any) -> None:
    conn.send(describe(conn.recv()))


def share_and_end(results: Any, obj: Any) -> None:
    import interproc

    results.put(interproc.share(obj))


def share_and_wait(conn: Any, obj: Any) -> None:
    """Sends a snapshot that nothing here refers to any more, and tells on request what this process still has of it."""
    import interproc

    conn.send(interproc.share(obj))
    while conn.recv() != "end":
        interproc.share(None)
        conn.send(open_sealed_memory())


def hold_and_wait(snapshot: Any, results: Any) -> None:
    """Holds views until it is killed."""
    views = snapshot.get()
    results.put((os.getpid(), len(views)))
    signal.pause()


def measure_reader(snapshot: Any, conn: Any) -> None:
    """Reads everything, tells which pages that took, and keeps them until told to end."""
    array = snapshot.get()
    total = int(array.sum())
    conn.send((total, pages_of_sealed_memory()))
    conn.recv()


def made_in_a_task(size: int) -> Any:
    import numpy as np

    import interproc

    return interproc.share({"numbers": np.arange(size)})


def mappings_of_sealed_memory() -> int:
    """How often this process has any of it mapped."""
    with open("/proc/self/maps") as maps:
        return sum("memfd:interproc-sealed" in line for line in maps)


def open_sealed_memory() -> list[str]:
    """The files of which this process has descriptors or mappings."""
    found = set()
    for fd in os.listdir("/proc/self/fd"):
        try:
            target = os.readlink(f"/proc/self/fd/{fd}")
            if "memfd:interproc-sealed" in target:
                found.add(os.stat(f"/proc/self/fd/{fd}").st_ino)
        except FileNotFoundError:
            continue
    with open("/proc/self/maps") as maps:
        found |= {int(line.split()[4]) for line in maps if "memfd:interproc-sealed" in line}
    return sorted(map(str, found))


def pages_of_sealed_memory() -> dict[str, int]:
    """KiB of this process's mappings of it: resident, and private to this process."""
    totals = {"Rss": 0, "Private_Dirty": 0, "Anonymous": 0}
    inside = False
    with open("/proc/self/smaps") as smaps:
        for line in smaps:
            name, _, rest = line.partition(":")
            if "-" in name.split(" ")[0]:
                inside = "memfd:interproc-sealed" in line
            elif inside and name in totals:
                totals[name] += int(rest.split()[0])
    return totals
