"""Collector: takes the results of a pipeline, in a thread of its own.

A process that is killed half through a message leaves multiprocessing's `get` waiting for the other half, whatever its
timeout. This thread waits then, and the main thread stays free to notice the death.
"""

import queue
import threading
from collections import Counter
from typing import Any

from interproc.demo.findings import Findings
from interproc.demo.parsing import FileReport
from interproc.demo.progress import Progress

LOOK_UP_SECONDS = 0.1


class Collector(threading.Thread):
    """Takes results until there is a report of every file, and the count of identifiers.

    Attributes:
        findings: What came so far.
        progress: How far that is.
        complete: Whether everything came.
        error: What ended the thread before.
    """

    def __init__(self, results: Any, file_count: int) -> None:
        super().__init__(name="collector", daemon=True)
        self.findings = Findings()
        self.progress = Progress()
        self.complete = False
        self.error: Exception | None = None
        self._results = results
        self._file_count = file_count
        self._counted = False
        self._nobody_puts = threading.Event()

    def give_up_when_empty(self) -> None:
        """Tells the thread that nobody puts anything any more: what is not there now will not come."""
        self._nobody_puts.set()

    def run(self) -> None:
        """The body of the thread."""
        try:
            while not self.complete:
                last_look = self._nobody_puts.is_set()
                try:
                    self._take(self._results.get(timeout=LOOK_UP_SECONDS))
                except queue.Empty:
                    if last_look:
                        return
        except Exception as error:  # the main thread raises it
            self.error = error

    def _take(self, result: FileReport | int | Counter[str]) -> None:
        before = self.progress
        match result:
            case FileReport():
                self.findings.add(result)
                announced_count = before.announced_count + result.identifier_count
                self.progress = Progress(before.file_count + 1, announced_count, before.counted_count)
            case int():
                self.progress = before._replace(counted_count=result)
            case Counter():
                self.findings.identifiers = result
                self.progress = before._replace(counted_count=result.total())
                self._counted = True
        # Either may come last: multiprocessing keeps the order of each producer, but not between producers.
        self.complete = self._counted and self.progress.file_count == self._file_count
