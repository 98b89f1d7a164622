"""PAINS row 43: large data is copied once, when it is sent, and not again; what is lent or shared even less."""

from typing import Any

import numpy as np

from interproc.context import SharedMemoryContext
from tests.contexts import PATIENCE_SECONDS, Children

SIZE_BYTES = 32 << 20
SMALL_BYTES = 4096


def test_an_array_is_copied_once_alone_and_inside_other_objects(
    context: SharedMemoryContext, children: Children
) -> None:
    queue, sums = context.Queue(), context.Queue()
    children.start(add_up, queue, 3, sums)
    array = np.ones(SIZE_BYTES, dtype=np.uint8)
    queue.put([array])
    queue.put({"id": 1, "parts": [{"array": array}]})
    lent = queue.empty_array(SIZE_BYTES, "u1")
    lent[:] = 1
    queue.put([lent])
    assert [sums.get(timeout=PATIENCE_SECONDS) for _ in range(3)] == [SIZE_BYTES] * 3
    children.join()
    assert 2 * SIZE_BYTES <= queue.statistics()["copied_bytes"] <= 2 * SIZE_BYTES + SMALL_BYTES


def test_a_shared_array_is_not_copied_for_its_readers(context: SharedMemoryContext, children: Children) -> None:
    queue, sums = context.Queue(), context.Queue()
    for _ in range(3):
        children.start(add_up_shared, queue, sums)
    with context.share(np.ones(SIZE_BYTES, dtype=np.uint8)) as snapshot:
        for _ in range(3):
            queue.put(snapshot)
        assert [sums.get(timeout=PATIENCE_SECONDS) for _ in range(3)] == [SIZE_BYTES] * 3
        children.join()
        assert snapshot.nbytes <= SIZE_BYTES + SMALL_BYTES
    assert queue.statistics()["copied_bytes"] <= 3 * SMALL_BYTES


def add_up(queue: Any, count: int, sums: Any) -> None:
    for _ in range(count):
        message = queue.get()
        array = message[0] if isinstance(message, list) else message["parts"][0]["array"]
        sums.put(int(array.sum()))


def add_up_shared(queue: Any, sums: Any) -> None:
    sums.put(int(queue.get().get().sum()))
