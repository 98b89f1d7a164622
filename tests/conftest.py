"""What surrounds every test: a watchdog, and a check that the test left nothing behind."""

import os
from collections.abc import Iterator
from multiprocessing import forkserver, resource_tracker
from typing import Protocol, TextIO

import pytest

import interproc
from tests.footprint import Footprint
from tests.watchdog import Watchdog, uncaptured_stderr

# Before anything imports numpy: the threads of its pool would count as left behind by the first test that does.
os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")

ENDING_SECONDS = 10.0
REPORT = pytest.StashKey[TextIO]()
WATCHDOG = pytest.StashKey[Watchdog]()


class TimeoutSettings(Protocol):
    """The part of pytest-timeout's settings that is used here."""

    timeout: float


def pytest_configure(config: pytest.Config) -> None:
    """Keeps a way to the terminal that no test captures."""
    config.stash[REPORT] = uncaptured_stderr()


def pytest_unconfigure(config: pytest.Config) -> None:
    """Closes it."""
    config.stash[REPORT].close()


@pytest.hookimpl(wrapper=True)
def pytest_timeout_set_timer(item: pytest.Item, settings: TimeoutSettings) -> Iterator[None]:
    """Watches the test for as long as pytest-timeout does."""
    item.stash[WATCHDOG] = Watchdog(settings.timeout, item.config.stash[REPORT])
    return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_timeout_cancel_timer(item: pytest.Item) -> Iterator[None]:
    """Stops watching."""
    if WATCHDOG in item.stash:
        item.stash[WATCHDOG].stop()
    return (yield)


@pytest.fixture(scope="session", autouse=True)
def standard_helpers() -> None:
    """Makes what lives as long as the session, before any test counts: helper processes, and pages that locks share."""
    resource_tracker.ensure_running()
    forkserver.ensure_running()
    interproc.Value("i")


@pytest.fixture(autouse=True)
def nothing_left_behind(standard_helpers: None, request: pytest.FixtureRequest) -> Iterator[None]:
    """Fails a test that leaves a process, thread, descriptor or shared memory, or that the watchdog had to end."""
    before = Footprint.take()
    yield
    left = before.left_behind(ENDING_SECONDS)
    watchdog = request.node.stash.get(WATCHDOG, None)
    assert watchdog is None or not watchdog.expired, "the watchdog had to kill the processes of this test"
    assert not left, "left behind: " + "; ".join(left)
