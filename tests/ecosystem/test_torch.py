"""PyTorch on interproc's contexts: DataLoader's workers, and tensors shared by torch's own reducers.

torch is not installed with the tests because of its size; `make test-ecosystem` installs it.
"""

import os
import signal
from typing import Any

import pytest

from interproc.context import SharedMemoryContext
from interproc.queues import Queue
from tests.contexts import PATIENCE_SECONDS, Children

torch: Any = pytest.importorskip("torch", reason="torch is not installed: make test-ecosystem installs it")
data: Any = pytest.importorskip("torch.utils.data")

SAMPLES = 48
WIDTH = 1000


class Squares:
    """A data set of constant tensors, and their numbers."""

    def __len__(self) -> int:
        return SAMPLES

    def __getitem__(self, index: int) -> tuple[Any, int]:
        return torch.full((WIDTH,), float(index * index)), index


class Deadly(Squares):
    """Kills the worker that fetches the first sample, before it has sent anything."""

    def __getitem__(self, index: int) -> tuple[Any, int]:
        if index == 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().__getitem__(index)


class Faulty(Squares):
    """Cannot fetch the last sample."""

    def __getitem__(self, index: int) -> tuple[Any, int]:
        if index == SAMPLES - 1:
            raise ValueError("on purpose")
        return super().__getitem__(index)


def loader(dataset: Squares, context: SharedMemoryContext, **options: Any) -> Any:
    """Loads with two workers."""
    options = {"batch_size": 8, "num_workers": 2, "timeout": PATIENCE_SECONDS, **options}
    return data.DataLoader(dataset, multiprocessing_context=context, **options)


def check_epoch(batches: Any) -> None:
    """Expects all samples, in order, in memory that the worker shares."""
    numbers = []
    for tensors, indexes in batches:
        assert tensors.is_shared()
        assert torch.equal(tensors, (indexes**2).float()[:, None].expand(-1, WIDTH))
        numbers += indexes.tolist()
    assert numbers == list(range(SAMPLES))


def double(tensors: "Queue[Any]", doubled: "Queue[Any]", finished: Any) -> None:
    tensor = tensors.get(timeout=PATIENCE_SECONDS)
    tensor *= 2
    doubled.put(tensor)
    finished.wait(PATIENCE_SECONDS)  # torch's handles need their sender


def test_data_loader(context: SharedMemoryContext) -> None:
    check_epoch(loader(Squares(), context))


def test_data_loader_with_workers_that_stay(context: SharedMemoryContext) -> None:
    batches = loader(Squares(), context, persistent_workers=True)
    check_epoch(batches)
    check_epoch(batches)


def test_data_loader_raises_what_a_worker_raised(context: SharedMemoryContext) -> None:
    with pytest.raises(ValueError, match="on purpose"):
        list(loader(Faulty(), context))


def test_data_loader_notices_a_killed_worker(context: SharedMemoryContext) -> None:
    with pytest.raises(RuntimeError, match="DataLoader worker"):
        list(loader(Deadly(), context, timeout=0))  # without a limit it looks after its workers every few seconds


def test_tensor_in_a_queue_is_shared(context: SharedMemoryContext, children: Children) -> None:
    tensors, doubled, finished = context.Queue(), context.Queue(), context.Event()
    children.start(double, tensors, doubled, finished)
    tensor = torch.arange(float(WIDTH))
    tensors.put(tensor)
    received = doubled.get(timeout=PATIENCE_SECONDS)
    assert torch.equal(received, torch.arange(float(WIDTH)) * 2)
    assert torch.equal(tensor, received)  # one memory
    received[0] = 7.0
    assert tensor[0] == 7.0
    finished.set()
    children.join()


def test_tensors_are_shared_with_many_readers(context: SharedMemoryContext, children: Children) -> None:
    tasks, results = context.Queue(), context.Queue()
    readers = 3
    for _ in range(readers):
        children.start(sum_of_snapshot, tasks, results)
    model = torch.nn.Linear(WIDTH, 10)
    weights = {"state": model.state_dict(), "numbers": torch.arange(float(WIDTH)), "model": model}
    with context.share(weights) as snapshot:
        for _ in range(readers):
            tasks.put(snapshot)
        sums = [results.get(timeout=PATIENCE_SECONDS) for _ in range(readers)]
    assert sums == [sum(range(WIDTH))] * readers
    children.join()


def sum_of_snapshot(tasks: "Queue[Any]", results: "Queue[Any]") -> None:
    snapshot = tasks.get(timeout=PATIENCE_SECONDS)
    weights = snapshot.get()
    assert torch.equal(weights["model"].weight, weights["state"]["weight"])
    weights["numbers"] += 0  # a copy, the reader's own
    results.put(float(snapshot.get()["numbers"].sum()))
