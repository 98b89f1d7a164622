"""Findings: what a run of the demonstration has found; runs are compared by them."""

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from interproc.demo.parsing import Definition, FileReport


@dataclass
class Findings:
    """Everything that was found. Equal if every report and every count is.

    Attributes:
        index: Every file's report, by its path.
        imports: How often each module is imported.
        identifiers: How often each identifier occurs.
    """

    index: dict[str, FileReport] = field(default_factory=dict)
    imports: Counter[str] = field(default_factory=Counter)
    identifiers: Counter[str] = field(default_factory=Counter)

    def add(self, report: FileReport) -> None:
        """Files a report."""
        self.index[report.path] = report
        self.imports.update(report.imports)

    @property
    def message_count(self) -> int:
        """How many messages it takes to find all this: a path and a report for each file, one for each identifier."""
        return 2 * len(self.index) + self.identifiers.total()

    @property
    def problems(self) -> list[FileReport]:
        """The reports of the files that could not be read or parsed, by path."""
        return sorted((report for report in self.index.values() if report.problem is not None), key=_path)

    def totals(self) -> dict[str, int]:
        """The figures that sum it up, by what they count."""
        reports = self.index.values()
        kinds = Counter(definition.kind for definition in self.definitions())
        docstring_characters = sum(report.docstring_characters for report in reports)
        docstring_characters += sum(definition.docstring_characters for definition in self.definitions())
        return {
            "files": len(reports),
            "bytes": sum(report.size_bytes for report in reports),
            "classes": kinds["class"],
            "functions": kinds["function"] + kinds["async function"],
            "docstring characters": docstring_characters,
            "imports": self.imports.total(),
            "identifiers": self.identifiers.total(),
            "different identifiers": len(self.identifiers),
        }

    def definitions(self) -> Iterator[Definition]:
        """Every definition, nested ones included."""
        for report in self.index.values():
            yield from _with_inner(report.definitions)


def _with_inner(definitions: Iterable[Definition]) -> Iterator[Definition]:
    unvisited = list(definitions)
    for definition in unvisited:
        yield definition
        unvisited += definition.inner


def _path(report: FileReport) -> str:
    return report.path
