"""The errors that interproc adds.

Each derives from what users of multiprocessing already catch::

    queue.Empty, queue.Full                        raised as they are
    queue.ShutDown                                 Python 3.13's; before that, the class below
    multiprocessing.TimeoutError, TimeoutError
        TimedOut                                   a Connection's timeout passed
            TaskTimedOut                               a pool's task took longer than it may
    pickle.PicklingError, TypeError
        UnsendableError                            put() or send() of something that cannot leave this process
    multiprocessing.ProcessError
        WorkerDied                                 the process that had a pool's task was killed or left
    ValueError, OSError
        QueueClosed                                    a method of a queue after its close()
    OSError
        HandleExpired                              a pickled handle leads to nothing any more
        LayoutMismatch                             the other side is another build of interproc
    RuntimeError
        AbandonedError                             acquire() of a lock whose holder was killed, if it is to raise
    RuntimeWarning
        AbandonedWarning                           the same, if it is to go on

Errors of one subject stand with it: managers.ManagerDied, outcomes.RemoteError, handshake.HandshakeFailed,
shareable_list.UnshareableItem.
"""

import builtins
import multiprocessing
import pickle
import sys
from queue import Empty, Full

if sys.version_info >= (3, 13):
    from queue import ShutDown
else:

    class ShutDown(Exception):
        """The queue was shut down: nothing can be put, and for `get` nothing is left."""


class TimedOut(multiprocessing.TimeoutError, builtins.TimeoutError):
    """The timeout of a Connection's method passed before the method could finish."""


class TaskTimedOut(TimedOut):
    """A pool's task took longer than its timeout allows; the process that was at it was killed and replaced."""


class WorkerDied(multiprocessing.ProcessError):
    """The process that worked on a pool's task ended before the task did.

    Attributes:
        pid: The process.
        exitcode: What it left with; below zero it is the number of the signal that killed it. None where nobody knows.
        task: The task, in words.
    """

    def __init__(self, pid: int | None, exitcode: int | None, task: str = "") -> None:
        super().__init__(pid, exitcode, task)
        self.pid = pid
        self.exitcode = exitcode
        self.task = task

    @property
    def signal(self) -> int | None:
        """The signal that killed it, with a name if it has one; None if it was none."""
        if self.exitcode is None or self.exitcode >= 0:
            return None
        import signal  # only for those who ask

        try:
            return signal.Signals(-self.exitcode)
        except ValueError:
            return -self.exitcode

    def __str__(self) -> str:
        signal = self.signal
        if signal is None:
            how = f"ended with exit code {self.exitcode}"
        else:
            how = f"was killed by {getattr(signal, 'name', f'signal {signal}')}"
        return f"worker process {self.pid} {how}" + (f" while it had this task: {self.task}" if self.task else "")


class UnsendableError(pickle.PicklingError, TypeError):
    """An object cannot be sent to another process.

    Attributes:
        path: Where the offending part lies inside the object, like `args[2]['cb']`.
    """

    def __init__(self, message: str, path: str = "") -> None:
        super().__init__(message)
        self.path = path


class QueueClosed(ValueError, OSError):
    """This process closed the queue. multiprocessing raises the one for some methods, the other for others."""


class AbandonedError(RuntimeError):
    """The process that held a lock was killed; what the lock guards may be half changed.

    Attributes:
        pid: The process that was killed.
    """

    def __init__(self, message: str, pid: int = 0) -> None:
        super().__init__(message)
        self.pid = pid


class AbandonedWarning(RuntimeWarning):
    """A lock was taken over from a process that was killed; what it guards may be half changed."""


class HandleExpired(OSError):
    """A queue, pipe or snapshot arrived after the last process that held it had let go of it."""


class LayoutMismatch(OSError):
    """Shared memory was made by a build of interproc that lays it out differently."""


__all__ = [
    "AbandonedError",
    "AbandonedWarning",
    "Empty",
    "Full",
    "HandleExpired",
    "LayoutMismatch",
    "QueueClosed",
    "ShutDown",
    "TaskTimedOut",
    "TimedOut",
    "UnsendableError",
    "WorkerDied",
]
