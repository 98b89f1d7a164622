"""What travels between a pool and its workers.

To a worker, through a queue of its own, in the order in which it works::

    (task number, job number, definition, is sealed, content)     None: leave

The definition, the job's function and how to apply it, goes with the first task of a job that a worker gets. A task
that arrives without it (others were taken back on the way) is answered with UNKNOWN_JOB and comes again with it.

From all workers, through one queue, one for each task and in the same order::

    (worker number, task number, outcome, content)                 None: look up, there is something else to do
"""

from __future__ import annotations

from typing import Any

from interproc.outcomes import unpack
from interproc.sealing import unseal

# How a job's function is applied to the content of a task.
CALL = 0  # the content is the call: function, arguments, named arguments
ITEM = 1  # function(content)
STARRED = 2  # function(*content)
CHUNK = 3  # function(item) for each item of the content
STARRED_CHUNK = 4  # function(*item) for each item of the content

# What came of a task.
VALUE = 0  # content: the value
SEALED = 1  # content: the value, sealed
FAILURE = 2  # content: the packed exception
RAISED = 3  # content: the exception itself, between threads
UNKNOWN_JOB = 4  # it was not tried

# What a worker says of itself, without a task.
READY = 5
NOT_INITIALIZED = 6  # content: the exception, as of a task
GONE = 7  # a thread, before it ends

NO_TASK = 0
NO_JOB = 0  # of a CALL, which says all itself


def opened(outcome: int, content: Any) -> tuple[bool, Any]:
    """Makes what came of a task anew: whether it is a value, and that or the exception."""
    if outcome == VALUE:
        return True, content
    if outcome == FAILURE:
        return False, unpack(content)
    if outcome == RAISED:
        return False, content
    try:
        return True, unseal(content)
    except (Exception, SystemExit) as error:
        error.add_note("while unpickling the result of a pool's task")
        return False, error
