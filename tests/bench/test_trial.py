"""A trial ends, whatever happens in it, and its processes with it."""

import os
import signal
from collections.abc import Callable
from functools import partial
from multiprocessing.connection import wait

import pytest

from interproc.bench.crew import Crew, Job, run_together
from interproc.bench.trial import FORK, FailedError, HungError, Sample, run_trial

LIMIT_S = 30.0


def test_sample_is_returned() -> None:
    assert run_trial(lambda: Sample(1.5, 0.1, {"p99": 2.0}), LIMIT_S) == Sample(1.5, 0.1, {"p99": 2.0})


def test_trial_runs_in_a_process_group_of_its_own() -> None:
    assert run_trial(lambda: Sample(os.getpgrp(), 0.0), LIMIT_S).value != os.getpgrp()


def test_hung_trial_is_killed_with_its_children() -> None:
    alive_end, held_end = os.pipe()

    def hang() -> Sample:
        os.close(alive_end)
        child = FORK.Process(target=signal.pause)
        child.start()
        signal.pause()
        raise AssertionError("not reached")

    with pytest.raises(HungError, match="killed after"):
        run_trial(hang, 0.2)
    os.close(held_end)
    assert wait([alive_end])  # at its end once nobody holds the other end any more
    assert os.read(alive_end, 1) == b""
    os.close(alive_end)


def test_exception_fails_the_trial_with_its_traceback() -> None:
    def fail() -> Sample:
        raise ValueError("no such thing")

    with pytest.raises(FailedError, match="ValueError: no such thing"):
        run_trial(fail, LIMIT_S)


@pytest.mark.parametrize("with_child", [False, True])
def test_death_fails_the_trial(with_child: bool) -> None:
    def die() -> Sample:
        if with_child:
            FORK.Process(target=signal.pause).start()
        os._exit(7)

    with pytest.raises(FailedError, match="exit code 7"):
        run_trial(die, LIMIT_S)


def ready_to(work: Callable[[], object]) -> Job[object]:
    """A job without preparation."""
    return lambda: work


def give(number: int) -> int:
    """Returns what it is given."""
    return number


def fail() -> object:
    """Raises."""
    raise ValueError("no such thing")


def fail_early() -> Callable[[], object]:
    """A job that raises while it gets ready."""
    raise ValueError("no such thing")


def die_early() -> Callable[[], object]:
    """A job that dies while it gets ready."""
    os._exit(3)


def test_laps_come_in_the_order_of_the_jobs() -> None:
    laps = run_together([ready_to(partial(give, number)) for number in range(4)])
    assert [lap.result for lap in laps] == [0, 1, 2, 3]
    assert all(lap.start_s <= lap.end_s for lap in laps)


def test_death_of_a_worker_is_reported_while_the_others_wait() -> None:
    with Crew([ready_to(signal.pause), die_early]) as crew, pytest.raises(FailedError, match="died"):
        crew.begin()


@pytest.mark.parametrize("job", [ready_to(fail), fail_early])
def test_failing_worker_is_reported_while_the_others_wait(job: Job[object]) -> None:
    with pytest.raises(FailedError, match="no such thing"):
        run_together([ready_to(signal.pause), job])
