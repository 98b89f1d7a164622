"""The table in docs/crash-model.md: every row says what proves it, and what it names exists."""

import re
import runpy
from pathlib import Path

ROOT = Path(__file__).parents[2]
PROOF = re.compile(r"`([\w/-]+)`")


def rows() -> list[list[str]]:
    """The cells of the rows of all tables that end with proofs, without their heads."""
    found: list[list[str]] = []
    proves = False
    for line in (ROOT / "docs" / "crash-model.md").read_text(encoding="utf-8").splitlines():
        if not line.startswith("|"):
            proves = False
        elif line.endswith("| proven by |"):
            proves = True
        elif proves and not line.startswith("|---"):
            found.append([cell.strip() for cell in line.strip("|").split("|")])
    return found


def proofs_there_are() -> set[str]:
    """Tests, scenarios of the sweep, and checks of models."""
    found: set[str] = set()
    for path in (ROOT / "tests").rglob("test_*.py"):
        found |= set(re.findall(r"^def (test_\w+)", path.read_text(encoding="utf-8"), re.MULTILINE))
    for path in (ROOT / "core").rglob("*_test.cpp"):
        found |= set(re.findall(r"^(?:FORK_)?TEST\((\w+)\)", path.read_text(encoding="utf-8"), re.MULTILINE))
    for path in (ROOT / "core" / "sweep").glob("scenarios*.cpp"):
        found |= set(re.findall(r'\.name = "([\w-]+)"', path.read_text(encoding="utf-8")))
    check = runpy.run_path(str(ROOT / "core" / "models" / "check.py"))
    return found | {one.name for one in check["CHECKS"]}


def test_every_row_is_complete() -> None:
    incomplete = [row for row in rows() if len(row) != 6 or not all(row) or not PROOF.findall(row[-1])]
    assert len(rows()) > 30
    assert incomplete == []


def test_every_proof_exists() -> None:
    named = {name for row in rows() for name in PROOF.findall(row[-1])}
    assert named - proofs_there_are() == set()
