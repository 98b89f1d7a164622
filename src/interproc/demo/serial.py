"""The serial run: the work of the demonstration in one process, without a message."""

from collections.abc import Iterable

from interproc.demo.findings import Findings
from interproc.demo.parsing import parse_file
from interproc.demo.progress import OnProgress, Progress


def index_serially(paths: Iterable[str], on_progress: OnProgress) -> Findings:
    """Parses the files one after the other.

    Args:
        paths: Of the files.
        on_progress: Called after every file.
    """
    findings = Findings()
    counted_count = 0
    for path in paths:
        report, identifiers = parse_file(path)
        findings.add(report)
        findings.identifiers.update(identifiers)
        counted_count += len(identifiers)
        on_progress(Progress(len(findings.index), counted_count, counted_count))
    return findings
