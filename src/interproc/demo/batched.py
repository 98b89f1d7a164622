"""The batched bodies: the pipeline's, with interproc's put_many and get_many in place of put and get.

multiprocessing has no counterpart, so the demonstration shows this run apart.
"""

import signal
from collections import Counter
from typing import Any

from interproc import Queue
from interproc.demo.parsing import parse_file

MOST_PER_GET = 4096


def parse_files_batched(paths: Queue[str | None], results: Queue[Any], identifiers: Queue[str | None]) -> None:
    """The body of a parser that puts the identifiers of a file with one call."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    for path in iter(paths.get, None):
        parsed = parse_file(path)
        results.put(parsed.report)
        identifiers.put_many(parsed.identifiers)
    identifiers.put(None)


def count_identifiers_batched(identifiers: Queue[str | None], results: Queue[Any], parser_count: int) -> None:
    """The body of a counter that takes what is there, up to a few thousand, with one call."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    counts: Counter[str | None] = Counter()
    total = 0
    while parser_count:
        batch = identifiers.get_many(MOST_PER_GET)
        ended = batch.count(None)
        parser_count -= ended
        total += len(batch) - ended
        counts.update(batch)
        results.put(total)
    del counts[None]
    results.put(counts)
