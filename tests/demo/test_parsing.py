"""What the demonstration takes out of a file."""

import re
from collections import Counter
from pathlib import Path

import pytest

from interproc.demo.parsing import Definition, ParsedFile, parse_file

SOURCE = '''\
"""Module."""
import os.path, sys as system
from collections import abc
from .. import relative

class Shape:
    """A shape."""

    if True:
        async def area(self, *, unit=None):
            global total
            total = lambda side: self.side * side
            return {"text": unit}

def outer():
    def inner(): pass
'''


class Parse:
    """Parses a text as a file."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __call__(self, source: str | bytes) -> ParsedFile:
        self.path.write_bytes(source if isinstance(source, bytes) else source.encode())
        return parse_file(str(self.path))


@pytest.fixture
def parse(tmp_path: Path) -> Parse:
    return Parse(tmp_path / "module.py")


def test_definitions_are_nested_as_in_the_file(parse: Parse) -> None:
    area = Definition("async function", "area", 10, 0, [])
    shape = Definition("class", "Shape", 6, len("A shape."), [area])
    outer = Definition("function", "outer", 15, 0, [Definition("function", "inner", 16, 0, [])])
    assert parse(SOURCE).report.definitions == [shape, outer]


def test_imports_are_named_as_written(parse: Parse) -> None:
    assert sorted(parse(SOURCE).report.imports) == ["..", "collections", "os.path", "sys"]


def test_every_identifier_is_there_as_often_as_it_occurs(parse: Parse) -> None:
    parsed = parse(SOURCE)
    assert Counter(parsed.identifiers) == Counter(
        ["Shape", "area", "self", "unit", "total", "total", "side", "self", "side", "side", "unit", "outer", "inner"]
    )
    assert parsed.report.identifier_count == len(parsed.identifiers)


def test_sizes_are_those_of_file_and_docstring(parse: Parse) -> None:
    report = parse(SOURCE).report
    assert (report.size_bytes, report.docstring_characters) == (len(SOURCE), len("Module."))


@pytest.mark.parametrize(
    ("source", "problem"),
    [
        ("def", "invalid syntax, line 1"),
        ("a\nprint 1", r"Missing parentheses.*, line 2"),
        (b"# coding: no-such-coding", "unknown encoding"),
        (b"a = '\xf6'", "utf-8"),
        (b"a = 0\0", "null bytes"),
        ("(" * 100_000, "too many nested parentheses"),
        ("-" * 100_000 + "1", "MemoryError|too complex|recursion"),  # depends on the Python
    ],
)
def test_file_that_does_not_parse_has_a_problem(parse: Parse, source: str | bytes, problem: str) -> None:
    parsed = parse(source)
    assert re.search(problem, parsed.report.problem or "")
    assert parsed.identifiers == []


def test_deep_tree_is_walked(parse: Parse) -> None:
    parsed = parse("x" + ".y" * 2000)
    assert parsed.report.problem is None
    assert parsed.report.identifier_count == 2001


def test_doubtful_escape_is_no_problem(parse: Parse) -> None:
    assert parse(r"a = '\d'").report.problem is None


def test_file_that_cannot_be_read_has_a_problem(tmp_path: Path) -> None:
    assert parse_file(str(tmp_path / "missing.py")).report.problem == "No such file or directory"
