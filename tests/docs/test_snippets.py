"""Every Python snippet of the README and the guides runs, and prints what its comments say."""

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
SNIPPET = re.compile(r"^```python\n(.*?)^```$", re.MULTILINE | re.DOTALL)
PRINTED = re.compile(r"print\(.*\)  # (.*)$", re.MULTILINE)


def snippets() -> list[tuple[str, str]]:
    """All snippets, each with a name that says where it stands."""
    return [
        (f"{page.name}:{page.read_text()[: found.start()].count(chr(10)) + 1}", found[1])
        for page in PAGES
        for found in SNIPPET.finditer(page.read_text())
    ]


def test_there_are_snippets() -> None:
    assert len(snippets()) > 10


@pytest.mark.parametrize("snippet", [pytest.param(text, id=name) for name, text in snippets()])
def test_snippet_prints_what_it_says(snippet: str, tmp_path: Path) -> None:
    program = tmp_path / "snippet.py"
    program.write_text(snippet)
    ended = subprocess.run([sys.executable, str(program)], capture_output=True, text=True, timeout=50, check=False)
    assert ended.returncode == 0, ended.stderr
    assert ended.stderr == ""
    expected = PRINTED.findall(snippet)
    if expected:
        assert ended.stdout.splitlines() == expected
