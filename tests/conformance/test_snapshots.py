"""Snapshots: one copy for all readers, read-only, gone with its last user."""

import gc
import os
import pickle
import resource
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import interproc
from interproc.context import SharedMemoryContext
from interproc.deposits import deposits
from interproc.errors import HandleExpired, UnsendableError
from interproc.snapshots import Snapshot
from tests.conformance import snapshot_bodies as bodies
from tests.contexts import PATIENCE_SECONDS, Children
from tests.waiting_for import until


@pytest.fixture(autouse=True)
def nothing_kept() -> Iterator[None]:
    """Looks once more after what was sent and dropped, as any later use of snapshots would."""
    yield
    deposits.forget_taken()


MIB = 1 << 20
COUNT = 100_000
SEEN = {"sum": COUNT * (COUNT - 1) // 2, "writeable": False, "one place": True, "mappings": 1}


def numbers() -> dict[str, Any]:
    return {"numbers": np.arange(COUNT)}


# --- travelling ------------------------------------------------------------------------------------------------------


def test_a_process_takes_a_snapshot_as_its_argument(context: SharedMemoryContext, children: Children) -> None:
    results = context.Queue()
    with context.share(numbers()) as snapshot:
        for _ in range(2):
            children.start(bodies.report, snapshot, results)
        assert [results.get(timeout=PATIENCE_SECONDS) for _ in range(2)] == [SEEN, SEEN]
        children.join()


def test_a_snapshot_is_an_argument_twice(context: SharedMemoryContext, children: Children) -> None:
    results = context.Queue()
    with context.share(numbers()) as snapshot:
        children.start(_compare, snapshot, [snapshot, snapshot], results)
        assert results.get(timeout=PATIENCE_SECONDS) == 1
        children.join()


def _compare(first: Any, others: list[Any], results: Any) -> None:
    places = {snapshot.get()["numbers"].ctypes.data for snapshot in (first, *others)}
    results.put(len(places))


def test_a_snapshot_goes_through_queues_to_many_readers(context: SharedMemoryContext, children: Children) -> None:
    queues, results = [context.Queue() for _ in range(3)], context.Queue()
    snapshot = context.share(numbers())
    for queue in queues:
        queue.put(snapshot)
        children.start(bodies.report_from_queue, queue, results)
    assert [results.get(timeout=PATIENCE_SECONDS) for _ in queues] == [SEEN] * 3
    children.join()


def test_a_snapshot_goes_through_a_pipe(context: SharedMemoryContext, children: Children) -> None:
    ours, theirs = context.Pipe()
    with ours, theirs:
        children.start(bodies.report_from_connection, theirs)
        ours.send(context.share(numbers()))
        assert ours.recv(timeout=PATIENCE_SECONDS) == SEEN
        children.join()


def test_pool_tasks_take_and_return_snapshots(context: SharedMemoryContext) -> None:
    with context.Pool(2) as pool, context.share(numbers()) as snapshot:
        for seen in pool.map(bodies.describe, [snapshot] * 6):
            assert (seen["sum"], seen["writeable"]) == (SEEN["sum"], False)
        made = pool.map(bodies.made_in_a_task, [10, 20, 30])
        assert [int(one.get()["numbers"].sum()) for one in made] == [45, 190, 435]
        pool.close()
        pool.join()


def test_an_unrelated_process_of_the_same_user_reads_a_snapshot() -> None:
    program = "import pickle, sys; print(pickle.load(sys.stdin.buffer).get()['numbers'].sum())"
    with interproc.share(numbers()) as snapshot:
        pickled = pickle.dumps(snapshot)
        done = subprocess.run([sys.executable, "-c", program], input=pickled, capture_output=True, check=True)
    assert int(done.stdout) == SEEN["sum"]


# --- one copy --------------------------------------------------------------------------------------------------------


def test_eight_readers_cost_one_copy(context: SharedMemoryContext, children: Children) -> None:
    array = np.ones(8 * MIB, dtype=np.uint8)
    with context.share(array) as snapshot:
        assert snapshot.nbytes < 8 * MIB + 4096
        pairs = [context.Pipe() for _ in range(8)]
        for _, theirs in pairs:
            children.start(bodies.measure_reader, snapshot, theirs)
        for ours, _ in pairs:
            total, pages = ours.recv(timeout=PATIENCE_SECONDS)
            assert total == 8 * MIB
            assert pages["Rss"] >= 8 * 1024
            assert pages["Anonymous"] == 0
        for ours, theirs in pairs:
            ours.send("end")
            ours.close()
            theirs.close()
        children.join()


def test_one_process_maps_a_snapshot_once() -> None:
    snapshot = interproc.share(numbers())
    copies = [pickle.loads(pickle.dumps(snapshot)) for _ in range(3)]
    objects = [one.get() for one in (snapshot, *copies) for _ in range(8)]
    assert len({obj["numbers"].ctypes.data for obj in objects}) == 1
    assert bodies.mappings_of_sealed_memory() == 1
    assert len(bodies.open_sealed_memory()) == 1


def test_threads_get_at_the_same_time() -> None:
    found: list[int] = []
    with interproc.share(numbers()) as snapshot:
        threads = [threading.Thread(target=lambda: found.append(bodies.describe(snapshot)["sum"])) for _ in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert found == [SEEN["sum"]] * 8


# --- nothing changes it ----------------------------------------------------------------------------------------------


def test_a_snapshot_does_not_see_later_changes() -> None:
    obj: dict[str, Any] = {"array": np.zeros(1000), "list": [1, 2], "bytes": bytearray(b"abc")}
    snapshot = interproc.share(obj)
    obj["array"] += 1
    obj["list"].append(3)
    obj["bytes"][0] = 0
    got = snapshot.get()
    assert (got["array"].sum(), got["list"], got["bytes"]) == (0, [1, 2], b"abc")
    got["list"].clear()
    assert snapshot.get()["list"] == [1, 2]


@pytest.mark.parametrize(
    "array",
    [
        np.arange(10),
        np.arange(10_000)[::3],
        np.asfortranarray(np.ones((50, 60))),
        np.array(1.5),
        np.zeros((0, 3)),
        np.zeros(20, dtype=[("x", "f8"), ("y", "i4", (3,))]),
        np.arange(24).reshape(2, 3, 4).transpose(1, 0, 2),
        np.array(["ab", "c"]),
        np.array(["2020-01-01"], dtype="M8[D]"),
        np.zeros((2, 3), dtype=[("when", "M8[s]"), ("value", "f4")])[:, ::2],
    ],
    ids=lambda array: f"{array.dtype}-{array.shape}",
)
def test_every_array_is_read_only(array: Any) -> None:
    got = interproc.share(array).get()
    assert got.dtype == array.dtype
    assert np.array_equal(got, array)
    with pytest.raises(ValueError, match="read-only"):
        got[...] = array


def test_arrays_of_a_class_sent_by_value_are_read_only_too() -> None:
    class Model:
        def __init__(self) -> None:
            self.weights = np.arange(9).reshape(3, 3)[:, ::2]

    got = interproc.share(Model()).get()
    assert got.weights.tolist() == [[0, 2], [3, 5], [6, 8]]
    assert not got.weights.flags.writeable


def test_the_kernel_refuses_writers() -> None:
    with interproc.share(numbers()) as snapshot:
        pickled = pickle.loads(pickle.dumps(snapshot))
        fd = int(pickled._memory.fileno())
        with pytest.raises(PermissionError):
            os.pwrite(fd, b"x", 0)
        with pytest.raises(PermissionError):
            os.ftruncate(fd, 0)


# --- how long it lives -----------------------------------------------------------------------------------------------


def test_memory_goes_with_the_last_view() -> None:
    snapshot = interproc.share(numbers())
    part = snapshot.get()["numbers"][5:10]
    snapshot.close()
    assert part.tolist() == [5, 6, 7, 8, 9]
    assert len(bodies.open_sealed_memory()) == 1
    del part
    gc.collect()
    assert bodies.open_sealed_memory() == []


def test_a_handle_that_was_received_and_dropped_holds_nothing() -> None:
    queue: interproc.Queue[Any] = interproc.Queue()
    snapshot = interproc.share(numbers())
    queue.put(snapshot)
    queue.get()
    del snapshot
    assert bodies.open_sealed_memory() == []


def test_what_was_sent_arrives_though_the_sender_has_dropped_it() -> None:
    queue: interproc.Queue[Any] = interproc.Queue()
    for size in range(10):
        queue.put(interproc.share(np.arange(size)))
    assert [int(queue.get().get().size) for _ in range(10)] == list(range(10))
    assert bodies.open_sealed_memory() == []


def test_a_sender_lets_go_once_the_receiver_has_it(context: SharedMemoryContext, children: Children) -> None:
    ours, theirs = context.Pipe()
    with ours, theirs:
        children.start(bodies.share_and_wait, theirs, [1, 2, 3])
        snapshot = ours.recv(timeout=PATIENCE_SECONDS)
        ours.send("look")
        assert ours.recv(timeout=PATIENCE_SECONDS) == []
        assert snapshot.get() == [1, 2, 3]
        ours.send("end")
        children.join()


def test_closing_withdraws_what_nobody_has_received() -> None:
    queue: interproc.Queue[Any] = interproc.Queue()
    with interproc.share(numbers()) as snapshot:
        queue.put(snapshot)
    assert bodies.open_sealed_memory() == []
    with pytest.raises(HandleExpired, match="Keep the object alive"):
        queue.get()


def test_a_handle_expires_with_its_sender(context: SharedMemoryContext, children: Children) -> None:
    results = context.Queue()
    children.start(bodies.share_and_end, results, [1, 2, 3])
    children.join()
    with pytest.raises(HandleExpired, match="has ended"):
        results.get(timeout=PATIENCE_SECONDS)


def test_a_handle_leads_to_another_holder_where_its_sender_has_ended(
    context: SharedMemoryContext, children: Children
) -> None:
    results = context.Queue()
    with context.share(numbers()) as snapshot:
        children.start(_pass_on, snapshot, results)
        children.join()
        pickled = results.get(timeout=PATIENCE_SECONDS)
        program = "import pickle, sys; print(pickle.load(sys.stdin.buffer).get()['numbers'].sum())"
        done = subprocess.run([sys.executable, "-c", program], input=pickled, capture_output=True, check=True)
    assert int(done.stdout) == SEEN["sum"]


def _pass_on(snapshot: Any, results: Any) -> None:
    results.put(pickle.dumps(snapshot))


def test_killed_holders_hold_nothing(context: SharedMemoryContext, children: Children) -> None:
    results = context.Queue()
    snapshot = context.share([np.full(10_000, i) for i in range(1000)])
    holders = [children.start(bodies.hold_and_wait, snapshot, results) for _ in range(2)]
    told = [results.get(timeout=PATIENCE_SECONDS) for _ in holders]
    assert [count for _, count in told] == [1000, 1000]
    inode = bodies.open_sealed_memory()[0]
    snapshot.close()
    assert bodies.open_sealed_memory() == []
    for pid, _ in told:
        assert inode in _inodes_of(pid)
        os.kill(pid, signal.SIGKILL)
    for holder in holders:
        holder.join()
    until(lambda: not any(inode in _inodes_of(pid) for pid, _ in told))


def _inodes_of(pid: int) -> set[str]:
    try:
        with open(f"/proc/{pid}/maps") as maps:
            return {line.split()[4] for line in maps if "memfd:interproc-sealed" in line}
    except (FileNotFoundError, ProcessLookupError):
        return set()


def test_a_forked_child_does_not_keep_what_its_parent_has_sent() -> None:
    queue: interproc.Queue[Any] = interproc.Queue()
    queue.put(interproc.share(numbers()))
    pid = os.fork()
    if pid == 0:
        os._exit(len(bodies.open_sealed_memory()))
    assert os.waitpid(pid, 0)[1] == 0
    assert int(queue.get().get()["numbers"].sum()) == SEEN["sum"]


def test_a_fork_keeps_snapshot_and_views() -> None:
    snapshot = interproc.share(numbers())
    array = snapshot.get()["numbers"]
    pid = os.fork()
    if pid == 0:
        same = array.sum() == SEEN["sum"] == snapshot.get()["numbers"].sum()
        os._exit(0 if same else 1)
    assert os.waitpid(pid, 0)[1] == 0


# --- misuse and want -------------------------------------------------------------------------------------------------


def test_a_closed_handle_says_so() -> None:
    snapshot = interproc.share([1])
    snapshot.close()
    snapshot.close()
    assert snapshot.closed
    for use in (snapshot.get, lambda: snapshot.nbytes, snapshot.__enter__, lambda: pickle.dumps(snapshot)):
        with pytest.raises(ValueError, match="snapshot is closed"):
            use()


def test_what_cannot_be_pickled_is_named() -> None:
    with pytest.raises(UnsendableError, match=r"\['rows'\]\[1\]\['lock'\]"):
        interproc.share({"rows": [1, {"lock": threading.Lock()}]})
    assert bodies.open_sealed_memory() == []


def test_errors_of_the_objects_own_classes_come_as_they_are() -> None:
    with pytest.raises(ZeroDivisionError):
        interproc.share(Refuses("pickle"))
    with pytest.raises(ZeroDivisionError):
        interproc.share(Refuses("unpickle")).get()


class Refuses:
    """Fails while it is pickled or unpickled."""

    def __init__(self, when: str) -> None:
        self.when = when

    def __reduce__(self) -> tuple[Any, ...]:
        if self.when == "pickle":
            raise ZeroDivisionError
        return _refuse, ()


def _refuse() -> None:
    raise ZeroDivisionError


def test_no_descriptor_is_an_error_with_a_remedy() -> None:
    with limited(resource.RLIMIT_NOFILE, 0), pytest.raises(OSError, match="ulimit -n"):
        interproc.share(numbers())


def test_a_file_size_limit_is_an_error_with_a_remedy() -> None:
    with limited(resource.RLIMIT_FSIZE, 100_000), pytest.raises(OSError, match="ulimit -f"):
        interproc.share(numbers())
    assert bodies.open_sealed_memory() == []


def test_no_address_space_is_an_error_and_costs_nothing() -> None:
    snapshot = interproc.share(np.zeros(64 * MIB, dtype=np.uint8))
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    with limited(resource.RLIMIT_AS, used + MIB), pytest.raises(OSError, match="allocate memory"):
        snapshot.get()
    assert snapshot.get().size == 64 * MIB


@contextmanager
def limited(what: int, soft: int) -> Iterator[None]:
    before = resource.getrlimit(what)
    resource.setrlimit(what, (soft, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(what, before)


def test_other_memory_is_no_snapshot() -> None:
    from interproc.sealed_memory import SealedMemory

    for parts in ([b"x"], [b"snapshot" + b"\xff" * 16], [b"y" * 100]):
        with pytest.raises(OSError, match="snapshot"):
            Snapshot(SealedMemory.write(parts)).get()


def test_many_parts_are_written_in_order() -> None:
    arrays = [np.full(3, i) for i in range(5000)]
    got = interproc.share(arrays).get()
    assert all(np.array_equal(one, other) for one, other in zip(got, arrays, strict=True))
    assert not any(array.flags.writeable for array in got)
