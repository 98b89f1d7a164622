"""An import or an include only points down, on the floors that ARCHITECTURE.md draws."""

import ast

import pytest

from tests.house.floors import (
    PACKAGE,
    ROOT,
    Arrow,
    Floors,
    core_arrows,
    core_floors,
    imported_parts,
    python_arrows,
    python_floors,
)

ARCHITECTURE = (ROOT / "ARCHITECTURE.md").read_text()
TWO_STOREYS = Floors({"roof": 1, "attic": 1, "cellar": 0}, frozenset({"shed"}))


def test_package_imports_only_point_down() -> None:
    assert python_floors(ARCHITECTURE).complaints(python_arrows()) == []


def test_core_includes_only_point_down() -> None:
    assert core_floors(ARCHITECTURE).complaints(core_arrows()) == []


def test_every_module_of_the_package_has_a_floor() -> None:
    floors = python_floors(ARCHITECTURE)
    modules = {path.stem for path in PACKAGE.glob("*.py")} | {
        path.parent.name for path in PACKAGE.glob("*/__init__.py")
    }
    assert modules - floors.of_module.keys() - floors.side_rooms == set()


@pytest.mark.parametrize(
    ("source", "target", "word"),
    [
        ("cellar", "roof", "reaches up"),
        ("roof", "shed", "side room"),
        ("roof", "garden", "no floor"),
        ("garden", "roof", "no floor"),
    ],
)
def test_forbidden_arrow_is_reported(source: str, target: str, word: str) -> None:
    complaint = TWO_STOREYS.complaint(Arrow("file.py", source, target))
    assert complaint is not None
    assert word in complaint


@pytest.mark.parametrize(
    ("source", "target"), [("roof", "cellar"), ("roof", "attic"), ("cellar", "cellar"), ("shed", "roof")]
)
def test_allowed_arrow_is_not_reported(source: str, target: str) -> None:
    assert TWO_STOREYS.complaint(Arrow("file.py", source, target)) is None


@pytest.mark.parametrize(
    ("statement", "parts"),
    [
        ("import interproc", ["__init__"]),
        ("import interproc.errors, os", ["errors"]),
        ("from interproc import _core, Queue", ["_core", "__init__"]),
        ("from interproc.codec.pickling import dumps", ["codec"]),
        ("from . import pickling", ["codec"]),
        ("from .. import _core", ["_core"]),
        ("from ..codec import x", ["codec"]),
        ("from os import path", []),
    ],
)
def test_import_is_resolved(statement: str, parts: list[str]) -> None:
    found = [part for node in ast.walk(ast.parse(statement)) for part in imported_parts(node, ["interproc", "codec"])]
    assert found == parts
