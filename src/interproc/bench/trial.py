"""Trial: one measurement, in a process of its own that leads its own process group.

Whatever a library does in there, hang, crash or leave processes behind, ends with the group and touches no other
measurement.
"""

import multiprocessing
import os
import signal
import traceback
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from multiprocessing.context import ForkProcess

FORK = multiprocessing.get_context("fork")


@dataclass(frozen=True)
class Sample:
    """What one trial found."""

    value: float
    """In the base of the experiment's unit."""
    elapsed_s: float
    """How long the timed part took."""
    details: Mapping[str, float] = field(default_factory=dict)
    """Further figures of the same unit, by name."""


class TrialError(Exception):
    """A trial without a sample."""


class HungError(TrialError):
    """It was killed because its time was over."""


class FailedError(TrialError):
    """It raised or died; the message ends with the reason."""


def run_trial(work: Callable[[], Sample], limit_s: float) -> Sample:
    """Runs `work` in a new process group; blocks until it has returned, at most `limit_s` seconds.

    The group is killed before this returns, on KeyboardInterrupt as well.

    Raises:
        HungError: It took longer.
        FailedError: It raised, or its process died.
    """
    receiver, sender = FORK.Pipe(duplex=False)
    process = FORK.Process(target=_run, args=(work, sender))
    process.start()
    sender.close()
    try:
        if not receiver.poll(limit_s):
            raise HungError(f"hung: killed after {limit_s:g} s")
        outcome = receiver.recv()
    except EOFError:
        process.join()
        raise FailedError(f"its process died with exit code {process.exitcode}") from None
    finally:
        _kill_group(process)
        receiver.close()
    if isinstance(outcome, Sample):
        return outcome
    raise FailedError(outcome)


def _run(work: Callable[[], Sample], sender: "Connection[Sample | str, object]") -> None:
    os.setsid()
    try:
        outcome: Sample | str = work()
    except Exception:
        outcome = traceback.format_exc().strip()
    sender.send(outcome)


def _kill_group(process: ForkProcess) -> None:
    process.kill()
    if process.pid is not None:
        # Not there if it was killed before it became a group, and then it has no children either.
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    process.join()
