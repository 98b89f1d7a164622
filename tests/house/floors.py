"""Floors: the layering that ARCHITECTURE.md draws, and the arrows that the sources make."""

import ast
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "src" / "interproc"
CORE = ROOT / "core"
PYTHON_FLOOR = re.compile(r"^(\d)  (\S.*)$", re.MULTILINE)
PYTHON_SIDE_ROOMS = re.compile(r"^side rooms [^:]*: (.*)$", re.MULTILINE)
CORE_FLOORS = re.compile(r"^Inside `core/` the floors are, from the bottom: (.*?)\.$", re.MULTILINE | re.DOTALL)
LOCAL_INCLUDE = re.compile(r'^#include "([^"]+)"', re.MULTILINE)
CORE_SIDE_ROOMS = frozenset({"testing", "sweep", "fuzz"})


@dataclass(frozen=True)
class Arrow:
    """One import or include."""

    file: str
    source: str
    target: str


@dataclass(frozen=True)
class Floors:
    """Which module stands on which floor; a side room stands above all, and nothing may lean on it."""

    of_module: dict[str, int]
    side_rooms: frozenset[str]

    def complaint(self, arrow: Arrow) -> str | None:
        """Why this arrow is forbidden, None if it is not. Arrows along a floor are allowed."""
        if arrow.source == arrow.target:
            return None
        for module in (arrow.source, arrow.target):
            if module not in self.of_module and module not in self.side_rooms:
                return f"{arrow.file}: ARCHITECTURE.md gives '{module}' no floor"
        if arrow.source in self.side_rooms:
            return None
        if arrow.target in self.side_rooms:
            return f"{arrow.file}: '{arrow.source}' leans on the side room '{arrow.target}'"
        if self.of_module[arrow.target] > self.of_module[arrow.source]:
            return f"{arrow.file}: '{arrow.source}' reaches up to '{arrow.target}'"
        return None

    def complaints(self, arrows: Iterable[Arrow]) -> list[str]:
        """All of them, sorted."""
        return sorted({text for arrow in arrows if (text := self.complaint(arrow))})


def python_floors(architecture: str) -> Floors:
    """The package's floors as the text of ARCHITECTURE.md draws them."""
    of_module = {
        name.rstrip("/"): int(number) for number, names in PYTHON_FLOOR.findall(architecture) for name in names.split()
    }
    side_rooms = {name.rstrip("/") for names in PYTHON_SIDE_ROOMS.findall(architecture) for name in names.split()}
    return Floors(of_module, frozenset(side_rooms))


def core_floors(architecture: str) -> Floors:
    """The core's floors as the text of ARCHITECTURE.md draws them."""
    paragraphs = CORE_FLOORS.findall(architecture)
    floors = [re.findall(r"`(\w+)/?`", floor) for paragraph in paragraphs for floor in paragraph.split("·")]
    return Floors({name: number for number, names in enumerate(floors) for name in names}, CORE_SIDE_ROOMS)


def python_arrows() -> Iterator[Arrow]:
    """Every import of one part of the package by another, lazy and type-checking ones included."""
    for path in sorted(PACKAGE.rglob("*.py")):
        inside = path.relative_to(PACKAGE)
        source = inside.parts[0].removesuffix(".py")
        for node in ast.walk(ast.parse(path.read_text(), str(path))):
            for target in imported_parts(node, ["interproc", *inside.parts[:-1]]):
                yield Arrow(str(inside), source, target)


def imported_parts(node: ast.AST, package: list[str]) -> Iterator[str]:
    """The parts of interproc that a statement of a module in `package` imports."""
    if isinstance(node, ast.Import):
        for alias in node.names:
            root, _, rest = alias.name.partition(".")
            if root == "interproc":
                yield rest.partition(".")[0] or "__init__"
    elif isinstance(node, ast.ImportFrom):
        base = package[: len(package) - node.level + 1] if node.level else []
        root, *inside = base + (node.module.split(".") if node.module else [])
        if root == "interproc" and inside:
            yield inside[0]
        elif root == "interproc":
            yield from (alias.name if _is_part(alias.name) else "__init__" for alias in node.names)


def _is_part(name: str) -> bool:
    return name == "_core" or (PACKAGE / name).is_dir() or (PACKAGE / f"{name}.py").is_file()


def core_arrows() -> Iterator[Arrow]:
    """Every include of one part of the core by another; tests count as a side room."""
    for path in sorted([*CORE.rglob("*.hpp"), *CORE.rglob("*.cpp")]):
        for include in LOCAL_INCLUDE.findall(path.read_text()):
            beside = (path.parent / include).resolve()
            target = beside if beside.exists() else CORE / include
            source = "testing" if path.stem.endswith("_test") else _core_module(path)
            yield Arrow(str(path.relative_to(CORE)), source, _core_module(target))


def _core_module(path: Path) -> str:
    """The top folder, else the noun; channel_get.cpp has no header of its own and is part of channel."""
    inside = path.relative_to(CORE)
    if len(inside.parts) > 1:
        return inside.parts[0]
    noun = path.stem
    while not (CORE / f"{noun}.hpp").exists() and "_" in noun:
        noun = noun.rpartition("_")[0]
    return noun
