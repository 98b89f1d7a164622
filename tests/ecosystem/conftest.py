"""Runs what takes `context` or `children` once for every start method, beside the libraries' own lasting helpers."""

import pickle
from contextlib import suppress
from importlib import import_module
from typing import Any

import pytest
from joblib.externals.loky.backend import resource_tracker

from tests.contexts import children, context

__all__ = ["children", "context", "libraries_own_threads", "loky_helper"]


@pytest.fixture(scope="session", autouse=True)
def loky_helper() -> None:
    """Starts the process that loky keeps for as long as the session, before any test counts."""
    resource_tracker.ensure_running()


@pytest.fixture(scope="session", autouse=True)
def libraries_own_threads() -> None:
    """Starts the threads that these libraries keep for themselves, before any test counts."""
    for name in ("pandas", "polars", "pyarrow"):
        with suppress(ImportError):
            library: Any = import_module(name)
            make = library.table if name == "pyarrow" else library.DataFrame
            table = make({"text": ["a", "b"] * 5000, "number": list(range(10_000))})
            pickle.loads(pickle.dumps(table, 5))
