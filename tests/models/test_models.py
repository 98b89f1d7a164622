"""The Spin models hold, their deliberate bugs are found, and the check that says so can fail."""

import re
import runpy
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

MODELS = Path(__file__).parents[2] / "core" / "models"

needs_spin = pytest.mark.skipif(
    shutil.which("spin") is None or not any(map(shutil.which, ("cc", "gcc"))),
    reason="spin or a C compiler is missing (Debian: apt-get install spin gcc)",
)


def run_check(folder: Path, *names: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(folder / "check.py"), *names]
    return subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False)


@pytest.fixture
def copied_models(tmp_path: Path) -> Path:
    return Path(shutil.copytree(MODELS, tmp_path / "models"))


@needs_spin
@pytest.mark.timeout(1200)
def test_every_property_holds_and_every_deliberate_bug_is_found() -> None:
    done = run_check(MODELS)
    assert done.returncode == 0, done.stdout


@needs_spin
def test_check_fails_when_a_property_is_violated(copied_models: Path) -> None:
    model = copied_models / "wake.pml"
    model.write_text("#define MUTANT_LEAVES_TWICE\n" + model.read_text(encoding="utf-8"), encoding="utf-8")
    done = run_check(copied_models, "wake/2x2")
    assert done.returncode == 1
    assert "VIOLATED: the count of sleepers is never too low" in done.stdout


@needs_spin
def test_check_fails_when_a_deliberate_bug_is_not_found(copied_models: Path) -> None:
    model = copied_models / "event_word.pml"
    text = model.read_text(encoding="utf-8")
    assert "MUTANT_LEAVES_TWICE" in text
    model.write_text(text.replace("MUTANT_LEAVES_TWICE", "NOT_A_MUTANT"), encoding="utf-8")
    done = run_check(copied_models, "mutant-leaves-twice")
    assert done.returncode == 1
    assert "NOT REFUTED: the count of sleepers is never too low" in done.stdout


def test_readme_shows_a_run_of_these_models() -> None:
    check = runpy.run_path(str(MODELS / "check.py"))
    readme = (MODELS / "README.md").read_text(encoding="utf-8")
    rows = [line.split("|")[1].strip() for line in readme.splitlines() if re.match(r"\| \w+/", line)]
    assert f"Models `{check['version']()}`" in readme, "print the table anew: core/models/check.py --table"
    assert rows == [one.name for one in check["CHECKS"]]
