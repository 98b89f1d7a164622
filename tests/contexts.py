"""Start methods for tests, and the processes they start.

A folder whose tests shall run once for every start method imports the fixtures into its conftest.py.
"""

from collections.abc import Callable, Iterator
from multiprocessing import resource_sharer

import pytest

import interproc
from interproc.context import SharedMemoryContext
from interproc.process import BaseProcess

START_METHODS = ("fork", "spawn", "forkserver")

# How long a test waits for something that should come at once. Reached only by a failing test.
PATIENCE_SECONDS = 30.0


class Children:
    """Starts processes with one method, and ends what is left of them."""

    def __init__(self, context: SharedMemoryContext) -> None:
        self._context = context
        self._started: list[BaseProcess] = []

    def start(self, target: Callable[..., object], *args: object) -> BaseProcess:
        """Starts a process that calls `target`."""
        process = self._context.Process(target=target, args=args)
        process.start()
        self._started.append(process)
        return process

    def join(self, *processes: BaseProcess) -> None:
        """Waits for processes, or for all, and expects that they ended well."""
        for process in processes or self._started:
            process.join(PATIENCE_SECONDS)
            assert process.exitcode == 0, f"{process} did not end well"

    def end(self) -> None:
        """Kills and reaps all."""
        for process in self._started:
            process.kill()
            process.join()
            process.close()


@pytest.fixture(params=START_METHODS)
def context(request: pytest.FixtureRequest) -> Iterator[SharedMemoryContext]:
    """The context of the start method under test."""
    yield interproc.get_context(request.param)
    # multiprocessing keeps a thread for connections that were pickled other than for a process being started.
    resource_sharer.stop(timeout=PATIENCE_SECONDS)


@pytest.fixture
def children(context: SharedMemoryContext) -> Iterator[Children]:
    """Starts processes with the start method under test."""
    starter = Children(context)
    yield starter
    starter.end()
