"""Parsing: what the demonstration takes out of one file."""

import ast
import warnings
from typing import NamedTuple

from interproc.demo.source_files import read_source


class Definition(NamedTuple):
    """A class or function, and those that are defined inside it."""

    kind: str
    name: str
    line: int
    docstring_characters: int
    inner: list["Definition"]


class FileReport(NamedTuple):
    """What one file holds.

    Attributes:
        path: Of the file.
        size_bytes: Of the file, 0 if it could not be read.
        problem: Why the file could not be read or parsed, None if it was.
        docstring_characters: Of the docstring of the module itself.
        definitions: Classes and functions, nested as in the file.
        imports: The module of every import, in no particular order.
        identifier_count: How often any identifier occurs.
    """

    path: str
    size_bytes: int
    problem: str | None
    docstring_characters: int
    definitions: list[Definition]
    imports: list[str]
    identifier_count: int


class ParsedFile(NamedTuple):
    """A file's report, and every occurrence of an identifier in the file."""

    report: FileReport
    identifiers: list[str]


def parse_file(path: str) -> ParsedFile:
    """Reads and parses one file. What is wrong with the file raises nothing: the report says it."""
    try:
        source = read_source(path)
    except OSError as error:
        return _failed(path, 0, error.strerror or str(error))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the compiler's opinion of escapes in other people's strings
            tree = ast.parse(source)
    except SyntaxError as error:
        return _failed(path, len(source), f"{error.msg}, line {error.lineno}")
    except (ValueError, RecursionError, MemoryError) as error:  # a null byte; nested too deeply for the parser
        return _failed(path, len(source), str(error) or type(error).__name__)
    definitions: list[Definition] = []
    imports: list[str] = []
    identifiers: list[str] = []
    _walk(tree, definitions, imports, identifiers)
    report = FileReport(path, len(source), None, _docstring_characters(tree), definitions, imports, len(identifiers))
    return ParsedFile(report, identifiers)


def _failed(path: str, size_bytes: int, problem: str) -> ParsedFile:
    return ParsedFile(FileReport(path, size_bytes, problem, 0, [], [], 0), [])


def _docstring_characters(node: ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) -> int:
    return len(ast.get_docstring(node, clean=False) or "")


_KINDS: dict[type[ast.AST], str] = {
    ast.ClassDef: "class",
    ast.FunctionDef: "function",
    ast.AsyncFunctionDef: "async function",
}


def _walk(tree: ast.Module, definitions: list[Definition], imports: list[str], identifiers: list[str]) -> None:
    """Appends what a tree holds, without recursion, since a tree can be deeper than Python's stack.

    Every text in a syntax tree is an identifier, but for constants and for the dotted names of imports.
    """
    pending: list[tuple[ast.AST, list[Definition]]] = [(tree, definitions)]
    for node, siblings in pending:
        if isinstance(node, (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)):
            definition = Definition(_KINDS[type(node)], node.name, node.lineno, _docstring_characters(node), [])
            siblings.append(definition)
            siblings = definition.inner
        elif isinstance(node, ast.Import):
            imports += [alias.name for alias in node.names]
            continue
        elif isinstance(node, ast.ImportFrom):
            imports.append("." * node.level + (node.module or ""))
            continue
        elif isinstance(node, ast.Constant):
            continue
        for field in node._fields:
            value = getattr(node, field, None)
            for item in value if isinstance(value, list) else (value,):
                if isinstance(item, ast.AST):
                    if item._fields:
                        pending.append((item, siblings))
                elif isinstance(item, str):
                    identifiers.append(item)
