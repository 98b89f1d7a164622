"""Waiting for a state that no event announces, like another process asleep inside a call."""

import time
from collections.abc import Callable

from tests.contexts import PATIENCE_SECONDS

_PAUSE_SECONDS = 0.005


def until(condition: Callable[[], object]) -> None:
    """Blocks until the condition holds.

    Raises:
        AssertionError: It never did.
    """
    deadline = time.monotonic() + PATIENCE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, "what the test waits for did not come"
        time.sleep(_PAUSE_SECONDS)
