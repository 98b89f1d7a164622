"""Tables and record batches of pandas, polars and pyarrow through queues, pipes and snapshots.

The libraries are not installed with the tests because of their size; `make test-ecosystem` installs them.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from interproc.context import SharedMemoryContext
from tests.contexts import PATIENCE_SECONDS, Children
from tests.ecosystem import jobs

COUNT = 20_000


def pandas_frame() -> Any:
    pandas = pytest.importorskip("pandas", reason="make test-ecosystem installs it")
    return pandas.DataFrame(
        {
            "number": np.arange(COUNT),
            "value": np.arange(COUNT) * 1.5,
            "when": pandas.date_range("2020-01-01", periods=COUNT, freq="s"),
            "name": [f"row {number}" for number in range(COUNT)],
            "kind": pandas.Categorical(["odd", "even"] * (COUNT // 2)),
        }
    )


def pandas_slice() -> Any:
    return pandas_frame()[["number", "value"]].iloc[::2]


def pandas_series() -> Any:
    return pandas_frame()["when"]


def polars_frame() -> Any:
    polars = pytest.importorskip("polars", reason="make test-ecosystem installs it")
    return polars.DataFrame({"number": np.arange(COUNT), "name": [f"row {number}" for number in range(COUNT)]})


def polars_series() -> Any:
    return polars_frame()["number"]


def arrow_table() -> Any:
    pyarrow = pytest.importorskip("pyarrow", reason="make test-ecosystem installs it")
    return pyarrow.table({"number": np.arange(COUNT), "name": [f"row {number}" for number in range(COUNT)]})


def arrow_batch() -> Any:
    return arrow_table().to_batches()[0].slice(100, 5000)


MAKERS = [pandas_frame, pandas_slice, pandas_series, polars_frame, polars_series, arrow_table, arrow_batch]
VIEWED = {pandas_frame, pandas_slice, arrow_table, arrow_batch}  # their pickles keep buffers beside them


@pytest.mark.parametrize("make", MAKERS)
def test_tables_come_back_equal(context: SharedMemoryContext, children: Children, make: Callable[[], Any]) -> None:
    table = make()
    tasks, results = context.Queue(), context.Queue()
    children.start(jobs.send_back, tasks, results)
    for sent in (table, {"nested": [table, 1]}):
        tasks.put(sent)
        came = results.get(timeout=PATIENCE_SECONDS)
        assert (came["nested"][0] if isinstance(sent, dict) else came).equals(table)
        if make in VIEWED:
            assert results.statistics()["blocks_used"] == 1
        del came
    tasks.put(None)
    children.join()


@pytest.mark.parametrize("make", MAKERS)
def test_tables_go_through_pipes(context: SharedMemoryContext, make: Callable[[], Any]) -> None:
    table = make()
    ours, theirs = context.Pipe()
    with ours, theirs:
        ours.send(table)
        assert theirs.recv(timeout=PATIENCE_SECONDS).equals(table)


@pytest.mark.parametrize("make", MAKERS)
def test_tables_are_shared(context: SharedMemoryContext, children: Children, make: Callable[[], Any]) -> None:
    table = make()
    tasks, results = context.Queue(), context.Queue()
    children.start(jobs.send_back, tasks, results)
    with context.share(table) as snapshot:
        tasks.put(snapshot)
        with results.get(timeout=PATIENCE_SECONDS) as again:
            assert again.get().equals(table)
    tasks.put(None)
    children.join()


def test_a_received_frame_is_the_receivers_own(context: SharedMemoryContext) -> None:
    frame = pandas_slice()
    queue = context.Queue()
    queue.put(frame)
    came = queue.get()
    came.loc[:, "value"] = 0.0
    assert frame["value"].sum() > 0
    queue.put(frame)
    assert queue.get().equals(frame)
