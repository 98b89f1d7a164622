"""Watchdog: ends a test that hangs, its processes included.

pytest-timeout's thread ends the whole run when a test's time is over, leaves the test's processes behind, and needs the
GIL. So before that this kills the processes and then interrupts the main thread, which lets most tests fail alone; and
after that faulthandler's thread, which needs no GIL, ends the run.
"""

import faulthandler
import os
import signal
import sys
import threading
from contextlib import suppress
from types import FrameType
from typing import TextIO

from tests.footprint import descendants

KILL_SHARE = 0.8
GRACE_SHARE = 0.1
LATE_SECONDS = 15.0
INTERRUPT = signal.SIGUSR2


class HungError(BaseException):
    """Raised in the main thread of a test that hangs; not an Exception, so that tests do not catch it."""


class Watchdog:
    """Watches one test from its creation to stop(); both in the main thread."""

    def __init__(self, timeout: float, report_to: TextIO) -> None:
        """Starts to watch.

        Args:
            timeout: seconds that pytest-timeout grants the test.
            report_to: where the stacks go; a file with a descriptor that pytest does not capture.
        """
        self.expired = False
        self._stopped = threading.Event()
        self._grace_seconds = timeout * GRACE_SHARE
        self._report_to = report_to
        self._main_thread = threading.get_ident()
        self._spared = set(descendants(os.getpid()))
        self._handler_before = signal.signal(INTERRUPT, self._interrupted)
        self._timer = threading.Timer(timeout * KILL_SHARE, self._expire)
        self._timer.daemon = True
        self._timer.start()
        faulthandler.dump_traceback_later(timeout + LATE_SECONDS, exit=True, file=report_to)

    def stop(self) -> None:
        """Stops watching."""
        self._stopped.set()
        self._timer.cancel()
        self._timer.join()
        faulthandler.cancel_dump_traceback_later()
        signal.signal(INTERRUPT, self._handler_before)

    def _expire(self) -> None:
        self.expired = True
        print("\nwatchdog: the test takes too long, killing its processes", file=self._report_to, flush=True)
        faulthandler.dump_traceback(file=self._report_to)
        for pid in descendants(os.getpid()):
            if pid not in self._spared:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
        if not self._stopped.wait(self._grace_seconds):
            signal.pthread_kill(self._main_thread, INTERRUPT)

    def _interrupted(self, signal_number: int, frame: FrameType | None) -> None:
        if not self._stopped.is_set():
            raise HungError("the test takes too long")


def uncaptured_stderr() -> TextIO:
    """A stream of its own onto standard error, to be made while pytest does not capture."""
    return os.fdopen(os.dup(sys.stderr.fileno()), "w")
