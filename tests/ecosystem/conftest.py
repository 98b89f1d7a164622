"""Runs what takes `context` or `children` once for every start method, beside the libraries' own lasting helpers."""

import pytest
from joblib.externals.loky.backend import resource_tracker

from tests.contexts import children, context

__all__ = ["children", "context", "loky_helper"]


@pytest.fixture(scope="session", autouse=True)
def loky_helper() -> None:
    """Starts the process that loky keeps for as long as the session, before any test counts."""
    resource_tracker.ensure_running()
