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
from multiprocessing.connection import Connection, wait
from multiprocessing.context import ForkProcess
from typing import Any

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
        outcome = _outcome(process, receiver, limit_s)
    finally:
        exit_code = _kill_group(process)
        receiver.close()
    if isinstance(outcome, Sample):
        return outcome
    raise FailedError(outcome or f"its process died with exit code {exit_code}")


def _outcome(process: ForkProcess, receiver: "Connection[Any, Any]", limit_s: float) -> Any:
    """What the process sent, None if it died before."""
    # The end of the pipe does not tell: workers hold copies of it. A pidfd does.
    death = os.pidfd_open(process.pid or 0)
    try:
        ready = wait([receiver, death], limit_s)
    finally:
        os.close(death)
    if not ready:
        raise HungError(f"killed after {limit_s:g} s")
    try:
        return receiver.recv() if receiver in ready else None
    except EOFError:
        return None


def _run(work: Callable[[], Sample], sender: "Connection[Any, Any]") -> None:
    os.setsid()
    try:
        outcome: Sample | str = work()
    except Exception:
        outcome = traceback.format_exc().strip()
    sender.send(outcome)


def _kill_group(process: ForkProcess) -> int | None:
    process.kill()
    if process.pid is not None:
        # Not there if it was killed before it became a group, and then it has no children either.
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    process.join()
    exit_code = process.exitcode
    process.close()
    return exit_code
