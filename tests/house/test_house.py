"""The rules of the house that a test can check."""

import ast
import re
import tomllib
from importlib.metadata import version
from pathlib import Path

import interproc
from tests.house.floors import CORE, PACKAGE, ROOT

SOURCE_FOLDERS = ("core", "binding", "src", "tests", "tools", "benchmarks", "examples")
SOURCE_SUFFIXES = {".py", ".pyi", ".cpp", ".hpp", ".pml"}
MOST_LINES = 450


def sources() -> list[Path]:
    """Every source file of the project."""
    files = [path for folder in SOURCE_FOLDERS for path in (ROOT / folder).rglob("*")]
    return sorted(path for path in files if path.suffix in SOURCE_SUFFIXES)


def public_modules() -> list[Path]:
    """The package's modules that no underscore hides."""
    files = sorted(PACKAGE.rglob("*.py"))
    return [path for path in files if not re.search(r"(^|/)_(?!_)", str(path.relative_to(PACKAGE)))]


def test_no_source_file_is_too_long() -> None:
    lengths = {str(path.relative_to(ROOT)): len(path.read_text().splitlines()) for path in sources()}
    assert {name: length for name, length in lengths.items() if length > MOST_LINES} == {}


def test_core_does_not_know_python() -> None:
    knowing = [
        path.name for path in CORE.rglob("*.[ch]pp") if re.search(r"#\s*include\s*[<\"]Python", path.read_text())
    ]
    assert knowing == []


def test_every_public_module_has_a_docstring() -> None:
    silent = [
        str(path.relative_to(PACKAGE))
        for path in public_modules()
        if not ast.get_docstring(ast.parse(path.read_text()))
    ]
    assert silent == []


def test_version_has_one_source() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    (source,) = (entry["input"] for entry in project["tool"]["dynamic-metadata"] if entry["field"] == "version")
    assert f'__version__ = "{interproc.__version__}"' in (ROOT / source).read_text()
    assert version("interproc") == interproc.__version__


def test_changelog_begins_with_what_is_unreleased_or_this_version() -> None:
    headings = re.findall(r"^## \[(.+?)\]", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)
    assert headings[0] in {"Unreleased", interproc.__version__}
