"""The pipeline: the program that the demonstration times, as a user of multiprocessing would write it.

                   +-> parser --+-- FileReport ----------------------------> results --> this process
    paths --Queue--+-> parser --+                                               ^
                   +-> parser --+-- every identifier --Queue--> counter --------+ how many yet; the Counter

It is given the module to use, multiprocessing or interproc, and uses of it what both document: get_context, Process and
Queue. Every message is put and got alone; an identifier travels as a plain str.
"""

import signal
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any, Protocol, TypeAlias

from interproc.demo.collector import Collector
from interproc.demo.crew import Crew
from interproc.demo.findings import Findings
from interproc.demo.parsing import parse_file
from interproc.demo.progress import OnProgress

COUNTED_PER_NOTE = 10_000

# A context's factories differ in type between multiprocessing and interproc, and so do their queues.
AnyQueue: TypeAlias = Any
AnyContext: TypeAlias = Any


class Multiprocessing(Protocol):
    """The module that the pipeline is given."""

    @property
    def get_context(self) -> Callable[..., AnyContext]:
        """Returns the context of a start method."""
        ...


Body: TypeAlias = Callable[..., None]


def parse_files(paths: AnyQueue, results: AnyQueue, identifiers: AnyQueue) -> None:
    """The body of a parser: takes paths until there comes None, and passes that on."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole terminal; the parent ends this process
    for path in iter(paths.get, None):
        parsed = parse_file(path)
        results.put(parsed.report)
        for identifier in parsed.identifiers:
            identifiers.put(identifier)
    identifiers.put(None)


def count_identifiers(identifiers: AnyQueue, results: AnyQueue, parser_count: int) -> None:
    """The body of the counter: counts until every parser has passed on its None."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    counts: Counter[str] = Counter()
    total = 0
    while parser_count:
        identifier = identifiers.get()
        if identifier is None:
            parser_count -= 1
            continue
        counts[identifier] += 1
        total += 1
        if total % COUNTED_PER_NOTE == 0:
            results.put(total)
    results.put(counts)


def index_with_processes(
    paths: Sequence[str],
    parser_count: int,
    start_method: str | None,
    multiprocessing: Multiprocessing,
    on_progress: OnProgress,
    parse: Body = parse_files,
    count: Body = count_identifiers,
) -> Findings:
    """Runs the pipeline.

    Args:
        paths: Of the files.
        parser_count: How many processes parse; one more counts.
        start_method: "fork", "spawn", "forkserver", or None for the default.
        multiprocessing: The module to use: multiprocessing itself, or interproc.
        on_progress: Called some ten times a second.
        parse: The body of a parser.
        count: The body of the counter.

    Raises:
        WorkerDied: A process ended before its work was done. The others are ended then.
    """
    context = multiprocessing.get_context(start_method)
    todo, results, identifiers = queues = [context.Queue() for _ in range(3)]
    processes = [
        context.Process(target=parse, args=(todo, results, identifiers), name=f"parser {number}", daemon=True)
        for number in range(1, parser_count + 1)
    ]
    processes.append(
        context.Process(target=count, args=(identifiers, results, parser_count), name="counter", daemon=True)
    )
    collector = Collector(results, len(paths))
    with Crew(processes, queues, collector) as crew:
        crew.start()
        for path in paths:
            todo.put(path)
        for _ in range(parser_count):
            todo.put(None)
        crew.work_until_done(on_progress)
    return collector.findings
