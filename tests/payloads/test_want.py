"""Big payloads where something is short: address space, /dev/shm, room in the queue, or the buffer itself."""

import array
import os
import pickle
import shutil
import subprocess
import sys
import threading
from queue import Full
from typing import Any

import numpy as np
import pytest

import interproc
from interproc.context import SharedMemoryContext
from tests.contexts import PATIENCE_SECONDS, Children
from tests.payloads import bodies

MIB = 1 << 20
PROGRAM = """
import numpy as np, interproc
def echo(tasks, results):
    for item in tasks:
        results.put(item)
if __name__ == "__main__":
    context = interproc.get_context("fork")
    tasks, results = context.Queue(), context.Queue()
    process = context.Process(target=echo, args=(tasks, results))
    process.start()
    for _ in range(3):
        tasks.put({"a": np.ones(100 << 20, dtype=np.uint8)})
        assert results.get()["a"].sum() == 100 << 20
    with interproc.share(np.ones(100 << 20, dtype=np.uint8)) as snapshot:
        tasks.put(snapshot)
        assert results.get().get().sum() == 100 << 20
    lock, value = context.Lock(), context.Value("i")
    tasks.shutdown()
    process.join()
    print("fine")
"""


@pytest.mark.parametrize(
    "mount", ["mount -t tmpfs -o size=64m tmpfs /dev/shm", "mount --bind /proc/self/fdinfo /dev/shm"], ids=str.split
)
def test_neither_a_small_dev_shm_nor_none_matters(mount: str) -> None:
    unshare = shutil.which("unshare")
    if unshare is None or subprocess.run([unshare, "-rm", "true"], check=False, capture_output=True).returncode:
        pytest.skip("no mount namespaces here")
    script = f'{mount} && exec "$0" -c "$1"'
    command = [unshare, "-rm", "sh", "-c", script, sys.executable, PROGRAM]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    if "mount:" in ended.stderr:
        pytest.skip(f"cannot mount here: {ended.stderr}")
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, "fine\n", "")


def test_little_address_space_is_an_error_or_no_matter(context: SharedMemoryContext, children: Children) -> None:
    queue, results = context.Queue(), context.Queue()
    children.start(bodies.put_with_little_memory, queue, 64 * MIB, results)
    assert queue.get(timeout=PATIENCE_SECONDS) == "ready"
    outcome = results.get(timeout=PATIENCE_SECONDS)
    assert outcome in {"put", "MemoryError", "OSError"}
    if outcome == "put":
        assert int(queue.get(timeout=PATIENCE_SECONDS)["large"].sum()) == 64 * MIB
    assert queue.get(timeout=PATIENCE_SECONDS) == "small"
    children.join()
    assert queue.statistics()["blocks_used"] == 0


def test_a_full_queue_takes_big_payloads_again_when_there_is_room() -> None:
    queue: interproc.Queue[Any] = interproc.Queue(max_bytes=8 * MIB)
    sent = 0
    with pytest.raises(Full):
        while True:
            queue.put(np.full(MIB, sent, dtype=np.uint8), timeout=0.01)
            sent += 1
    assert 3 < sent <= 8
    assert [int(queue.get()[-1]) for _ in range(sent)] == list(range(sent))
    queue.put(np.zeros(2 * MIB, dtype=np.uint8), timeout=PATIENCE_SECONDS)
    assert queue.get().nbytes == 2 * MIB
    assert queue.statistics()["blocks_used"] == 0


def test_a_released_buffer_is_an_error_and_harms_nothing() -> None:
    queue: interproc.Queue[Any] = interproc.Queue()
    buffer = pickle.PickleBuffer(bytearray(MIB))
    buffer.release()
    for obj in (buffer, {"in": [buffer]}):
        with pytest.raises(ValueError, match="released"):
            queue.put(obj)
    with pytest.raises(ValueError, match="released"):
        interproc.share({"in": buffer})
    queue.put(np.ones(5))
    assert queue.get().sum() == 5
    assert queue.statistics()["blocks_used"] == 0


def test_a_buffer_that_another_thread_wants_to_resize_meanwhile() -> None:
    queue: interproc.Queue[Any] = interproc.Queue()
    data = bytearray(32 * MIB)
    stop = threading.Event()

    def resize() -> None:
        while not stop.is_set():
            try:
                data.extend(b"x")
                data.pop()
            except BufferError:
                continue

    thread = threading.Thread(target=resize)
    thread.start()
    try:
        for _ in range(5):
            queue.put({"data": data, "buffer": pickle.PickleBuffer(data)})
            came = queue.get()
            assert 32 * MIB <= len(came["data"]) <= 32 * MIB + 1
    finally:
        stop.set()
        thread.join()


def test_a_message_larger_than_the_queue_may_ever_hold_streams() -> None:
    queue: interproc.Queue[Any] = interproc.Queue(max_bytes=4 * MIB)
    sent: dict[str, Any] = {"a": np.arange(2 * MIB), "b": [b"x" * (9 * MIB), array.array("d", range(MIB))]}
    thread = threading.Thread(target=queue.put, args=(sent,))
    thread.start()
    came = queue.get(timeout=PATIENCE_SECONDS)
    thread.join()
    assert np.array_equal(came["a"], sent["a"])
    assert came["b"] == sent["b"]
    assert queue.statistics()["blocks_used"] == 0


def test_views_outlive_the_queue_and_are_used_at_the_exit_of_the_interpreter() -> None:
    program = (
        "import atexit, interproc, numpy as np\n"
        "queue = interproc.Queue()\n"
        "queue.put({'a': np.ones(1 << 20)})\n"
        "array = queue.get()['a']\n"
        "snapshot = interproc.share(np.ones(1 << 20)).get()\n"
        "atexit.register(lambda: print(int(array.sum() + snapshot.sum())))\n"
        "queue.close()\n"
        "del queue\n"
    )
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (ended.stdout, ended.stderr, ended.returncode) == (f"{2 << 20}\n", "", 0)


def test_a_forked_child_uses_views_after_the_parent_has_dropped_the_queue() -> None:
    queue: interproc.Queue[Any] = interproc.Queue()
    queue.put([np.full(MIB, 3, dtype=np.uint8)] * 2)
    arrays = queue.get()
    read_fd, write_fd = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.read(read_fd, 1)
        arrays[0][:] += 1
        os._exit(0 if int(arrays[0].sum()) == 4 * MIB else 1)
    queue.close()
    del queue, arrays
    os.write(write_fd, b"x")
    assert os.waitpid(pid, 0)[1] == 0
    os.close(read_fd)
    os.close(write_fd)
