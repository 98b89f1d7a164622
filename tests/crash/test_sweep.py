"""The kill sweep of the core: SIGKILL wherever shared state differs, and survivors who find everything in order."""

import os
import platform
import re
import subprocess
from dataclasses import dataclass
from pathlib import Path

import pytest

SWEEP = Path(__file__).parents[2] / "build" / "core" / "core" / "sweep"
LOCK = os.environ.get("INTERPROC_LOCK") or "auto"
SURVIVED, BROKEN, MAY_NOT_TRACE = 0, 1, 77
LINE = re.compile(
    r"^(?P<name>\S+) +(?:kernel|liveness) +instructions +\d+ +points +(?P<points>\d+) +tried +(?P<tried>\d+)"
    r" +strayed +\d+ +broken (?P<broken>\d+) ",
    re.MULTILINE,
)

pytestmark = [
    pytest.mark.skipif(platform.machine() != "x86_64", reason="the sweep steps through x86-64 instructions"),
    pytest.mark.timeout(600),
]


@dataclass(frozen=True)
class Outcome:
    """What the sweep found in one scenario."""

    points: int
    tried: int
    broken: int


def run(*options: str) -> subprocess.CompletedProcess[str]:
    """Runs the sweep; skips the test where it may not trace."""
    assert SWEEP.exists(), f"{SWEEP} is not built: run make core"
    ended = subprocess.run([SWEEP, *options], capture_output=True, text=True, check=False)
    if ended.returncode == MAY_NOT_TRACE:
        pytest.skip("ptrace is not permitted here")
    return ended


def outcomes(output: str) -> dict[str, Outcome]:
    """The sweep's lines, by scenario."""
    return {
        match["name"]: Outcome(int(match["points"]), int(match["tried"]), int(match["broken"]))
        for match in LINE.finditer(output)
    }


def names(*options: str) -> set[str]:
    """The scenarios there are."""
    return set(run("--list", *options).stdout.split())


def test_no_kill_breaks_a_survivor() -> None:
    ended = run("--lock", LOCK)
    found = outcomes(ended.stdout)
    assert ended.returncode == SURVIVED, ended.stdout + ended.stderr
    assert found.keys() == names()
    assert all(outcome.tried > 1 and outcome.broken == 0 for outcome in found.values())


def test_sweep_finds_every_operation_that_is_broken_on_purpose() -> None:
    ended = run("--mutant", "--lock", LOCK, "--limit", "2")
    found = outcomes(ended.stdout)
    assert ended.returncode == BROKEN, ended.stdout + ended.stderr
    assert found.keys() == names("--mutant")
    assert all(outcome.broken > 0 for outcome in found.values())


def test_one_kill_point_can_be_repeated() -> None:
    ended = run("--lock", LOCK, "--only", "put-inline", "--at", "20")
    assert ended.returncode == SURVIVED, ended.stdout + ended.stderr
    assert outcomes(ended.stdout)["put-inline"].tried == 1
