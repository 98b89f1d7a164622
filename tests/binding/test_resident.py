"""Resident memory falls back after a burst, as the memory file itself counts it."""

import os
import resource
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import interproc

MIB = 1 << 20


def resident(queue: Any) -> int:
    return os.fstat(queue.segment.fileno()).st_blocks * 512


@pytest.mark.parametrize("kept", [False, True])
def test_a_drained_burst_of_a_gibibyte_leaves_less_than_64_mib(kept: bool) -> None:
    queue: interproc.SimpleQueue[Any] = interproc.SimpleQueue()
    for number in range(32):
        queue.put(np.full(32 * MIB, number, dtype=np.uint8))
    assert resident(queue) >= 1024 * MIB
    views: list[Any] = []
    array: Any = None
    for number in range(32):
        array = queue.get()
        assert array[-1] == number
        if kept:
            views.append(array)
    del array, views
    assert resident(queue) < 64 * MIB
    assert queue.statistics()["blocks_used"] == 0


def test_how_much_stays_warm_can_be_chosen() -> None:
    for warm_bytes in (0, 4 * MIB, 200 * MIB):
        queue: interproc.Queue[Any] = interproc.Queue(warm_bytes=warm_bytes)
        for _ in range(10):
            queue.put(bytes(10 * MIB))
        for _ in range(10):
            queue.get()
        assert resident(queue) <= max(warm_bytes, 100 * MIB if warm_bytes > 100 * MIB else 0) + MIB
        if warm_bytes > 120 * MIB:
            assert resident(queue) >= 100 * MIB


def small_address_space(queue: Any, results: Any) -> None:
    """Takes an array where no more than a little memory can be mapped, and tells what came."""
    _, hard = resource.getrlimit(resource.RLIMIT_AS)
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + 64 * MIB, hard))
    try:
        results.put(int(queue.get().sum()))
        results.put(np.zeros(256 * MIB, dtype=np.uint8).nbytes)
    except BaseException as error:
        results.put(type(error).__name__)
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (hard, hard))


def test_where_no_view_can_be_mapped_the_receiver_gets_a_copy() -> None:
    queue: interproc.SimpleQueue[Any] = interproc.SimpleQueue()
    results: interproc.SimpleQueue[Any] = interproc.SimpleQueue()
    process = interproc.get_context("fork").Process(target=small_address_space, args=(queue, results))
    process.start()
    queue.put(np.ones(MIB, dtype=np.uint8))
    assert results.get() == MIB
    assert results.get() == "MemoryError"
    process.join()
    assert queue.statistics()["blocks_used"] == 0
