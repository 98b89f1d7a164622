"""Every example runs under every start method, ends well, complains about nothing and prints what it promises."""

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from tests.contexts import START_METHODS
from tests.house.floors import ROOT

EXAMPLES = ROOT / "examples"
SECONDS = 50

SWAPPED_IMPORT = f"""\
{ {number: number * number for number in range(10)} }
hello from the child
"""
ACCOUNTS = """\
('ada', 10) -> 10
('bob', 5) -> 5
('ada', -3) -> 7
('bob', 'much') -> TypeError("unsupported operand type(s) for +: 'int' and 'str'")
child ended with 0
"""
LETTERS = """\
s ################# 17
e ############### 15
l ########## 10
h ######## 8
a #### 4
r #### 4
o ## 2
t ## 2
b # 1
f # 1
u # 1
y # 1
"""
NUMBERS = """\
4 careless increments make 1
4000 increments with the lock make 4000
4000 atomic additions make 4000
squares, each process its part: [0, 1, 4, 9, 16, 25, 36, 49, 64, 81, 100, 121]
after 4000 transfers the accounts hold 300 together
"""
PRIMES = r"""the prime finder found 430 primes below 3000, the last are \[2969, 2971, 2999\]
meanwhile the parent added \d+000 terms: pi is about 3\.14\d
"""
POOL = """\
map, in order:          [0, 1, 7, 2, 5, 8, 16, 3, 19, 6]
imap_unordered, as they come: 261 steps for 6171
the callback heard 111
apply_async, asked for later: 111
raised in a worker, caught here: -5 never reaches 1
"""
PROGRAMS = """\
run by a child: "an independent program got ['tea', 'milk']", status 3; the child itself ended with 0
now a child becomes it:
an independent program got ['coffee']
it ended with 2
"""
VOICES = """\
b'hello through a FIFO'
b'hello through a socket pair'
['hello through', 'a Unix socket', {'as': 'an object'}]
('hello through', 'a pipe of shared memory', {'as': 'an object'})
"""
FRAMES = r"""interproc: 24 frames of 160 x 90, \d+ a second
contact sheet: 12 of them in sheet\.png
"""
CLOSURES = r"""\[144, 105, 21\]
put raised: .*\[1\]\['guard'\].*
"""
ABANDONED = r"""a process ended with -9 while it held the lock
the next one got it, abandoned: True
AbandonedWarning: process \d+ was killed while it held this Lock; .*
a process ended with -9 while it held the lock
AbandonedError: process \d+ was killed while it held this Lock: .*
repaired: \[100, 100\]
"""

Check = Callable[[str], None]


def prints(expected: str) -> Check:
    """Checks what is printed to the letter."""

    def check(printed: str) -> None:
        assert printed == expected

    return check


def matches(pattern: str) -> Check:
    """Checks what is printed where process ids or counts differ from run to run."""

    def check(printed: str) -> None:
        assert re.fullmatch(pattern, printed), printed

    return check


def whole_verses(printed: str) -> None:
    """Every verse stands in one piece, and every animal has said its verse before the next round begins."""
    verses = re.findall(
        r"The (\w+) sat down at (\w+) light,\n  the \1 looked .*,\n  and then the \1 slipped .*\n", printed
    )
    assert printed.count("\n") == 3 * len(verses)
    assert [time for _, time in verses] == ["morning"] * 4 + ["noon"] * 4 + ["night"] * 4
    for start in (0, 4, 8):
        assert sorted(animal for animal, _ in verses[start : start + 4]) == ["bee", "cat", "fox", "owl"]


CHECKS = {
    "abandoned_lock.py": matches(ABANDONED),
    "closures_travel.py": matches(CLOSURES),
    "frames.py": matches(FRAMES),
    "lock_on_stdout.py": whole_verses,
    "pipe_fed_child.py": prints(LETTERS),
    "pipe_request_response.py": prints(ACCOUNTS),
    "pool_of_workers.py": prints(POOL),
    "process_subclass.py": matches(PRIMES),
    "shared_numbers.py": prints(NUMBERS),
    "sockets_and_fifos.py": prints(VOICES),
    "starting_programs.py": prints(PROGRAMS),
    "swap_one_import.py": prints(SWAPPED_IMPORT),
    "workers_and_results.py": prints("[0, 0, 0]\n900 words in 300 texts\n"),
}
# What makes an example small enough for a test.
ARGUMENTS = {"frames.py": ["--frames", "24", "--size", "160x90", "--sheet", "sheet.png"]}


def run(folder: Path, name: str, *arguments: str) -> str:
    """Runs an example in a folder, and returns what it prints."""
    command = [sys.executable, "-W", "error", str(EXAMPLES / name), *arguments, *ARGUMENTS.get(name, [])]
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=SECONDS, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


@pytest.mark.parametrize("start_method", START_METHODS)
@pytest.mark.parametrize("name", CHECKS)
def test_example(name: str, start_method: str, tmp_path: Path) -> None:
    CHECKS[name](run(tmp_path, name, start_method))


@pytest.mark.parametrize("library", ["interproc", "multiprocessing"])
def test_frames_are_on_the_contact_sheet(library: str, tmp_path: Path) -> None:
    assert run(tmp_path, "frames.py", "fork", "--with", library).startswith(f"{library}: 24 frames")
    with Image.open(tmp_path / "sheet.png") as sheet:
        assert sheet.size == (4 * 164, 3 * 106)
        colors = sheet.getcolors(maxcolors=sheet.width * sheet.height)
    assert colors is not None
    found = {color for _, color in colors}
    yellow, filtered = (255, 220, 40), {(0, 35, 215), (192, 192, 0)}
    assert yellow not in found
    assert found & filtered, "the disc, as one of the filters leaves it"


def test_every_example_is_tested() -> None:
    assert {path.name for path in EXAMPLES.glob("*.py")} == CHECKS.keys()


def test_every_example_is_listed() -> None:
    listed = re.findall(r"^\| \[(\w+\.py)\]", (EXAMPLES / "README.md").read_text(), re.MULTILINE)
    assert set(listed) == CHECKS.keys()
    assert len(listed) == len(CHECKS)
