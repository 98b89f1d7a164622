"""Every example runs and prints what it promises."""

import subprocess
import sys

import pytest

from tests.house.floors import ROOT

EXAMPLES = ROOT / "examples"
SECONDS = 50
SQUARES = {number: number * number for number in range(10)}
ACCOUNTS = """\
('ada', 10) -> 10
('bob', 5) -> 5
('ada', -3) -> 7
('bob', 'much') -> TypeError("unsupported operand type(s) for +: 'int' and 'str'")
child ended with 0
"""


def run(name: str, *arguments: str) -> str:
    """What an example prints; it has to end well and to complain about nothing."""
    command = [sys.executable, "-W", "error", str(EXAMPLES / name), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def test_swapped_import() -> None:
    assert run("swap_one_import.py") == f"{SQUARES}\nhello from the child\n"


def test_request_and_response() -> None:
    assert run("pipe_request_response.py") == ACCOUNTS


def test_workers_and_results() -> None:
    assert run("workers_and_results.py") == "[0, 0, 0]\n900 words in 300 texts\n"


@pytest.mark.parametrize("start_method", ["fork", "spawn", "forkserver"])
def test_closures_travel(start_method: str) -> None:
    results, refusal = run("closures_travel.py", start_method).splitlines()
    assert results == "[144, 105, 21]"
    assert refusal.startswith("put raised: ")
    assert "[1]['guard']" in refusal


def test_every_example_is_tested() -> None:
    tested = {"swap_one_import.py", "pipe_request_response.py", "workers_and_results.py", "closures_travel.py"}
    assert {path.name for path in EXAMPLES.glob("*.py")} == tested
