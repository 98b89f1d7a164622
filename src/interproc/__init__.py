"""interproc: a drop-in replacement for multiprocessing on shared memory that no killed process can hang.

`import interproc as multiprocessing`. Whatever lives in shared memory or waits is interproc's own; what the standard
library does well, starting processes for example, builds on it.
"""

from interproc import context, process, reduction
from interproc.context import (
    AuthenticationError,
    BufferTooShort,
    Process,
    ProcessError,
    TimeoutError,
    default_context,
)
from interproc.process import active_children, current_process, parent_process

TYPE_CHECKING = False  # without importing typing: see ARCHITECTURE.md on import time
if TYPE_CHECKING:
    from interproc.errors import (
        AbandonedError,
        AbandonedWarning,
        HandleExpired,
        LayoutMismatch,
        ShutDown,
        TaskTimedOut,
        UnsendableError,
        WorkerDied,
    )
    from interproc.queues import JoinableQueue, Queue, SimpleQueue
    from interproc.snapshots import Snapshot

__version__ = "0.1.0"

SUBDEBUG = 5
SUBWARNING = 25

Array = default_context.Array
Barrier = default_context.Barrier
BoundedSemaphore = default_context.BoundedSemaphore
Condition = default_context.Condition
Event = default_context.Event
Lock = default_context.Lock
Manager = default_context.Manager
Pipe = default_context.Pipe
Pool = default_context.Pool
RLock = default_context.RLock
RawArray = default_context.RawArray
RawValue = default_context.RawValue
Semaphore = default_context.Semaphore
Value = default_context.Value
buffer = default_context.buffer
allow_connection_pickling = default_context.allow_connection_pickling
cpu_count = default_context.cpu_count
freeze_support = default_context.freeze_support
get_all_start_methods = default_context.get_all_start_methods
get_context = default_context.get_context
get_logger = default_context.get_logger
get_start_method = default_context.get_start_method
log_to_stderr = default_context.log_to_stderr
reducer = default_context.reducer
set_executable = default_context.set_executable
set_forkserver_preload = default_context.set_forkserver_preload
set_start_method = default_context.set_start_method
share = default_context.share

_FIRST_USED_FROM = {
    "AbandonedError": "errors",
    "AbandonedWarning": "errors",
    "HandleExpired": "errors",
    "JoinableQueue": "queues",
    "LayoutMismatch": "errors",
    "Queue": "queues",
    "ShutDown": "errors",
    "SimpleQueue": "queues",
    "Snapshot": "snapshots",
    "TaskTimedOut": "errors",
    "UnsendableError": "errors",
    "WorkerDied": "errors",
}
del TYPE_CHECKING


def __getattr__(name: str) -> object:
    """Imports what a program first uses later, as multiprocessing does: importing interproc costs little more."""
    module = _FIRST_USED_FROM.get(name)
    if module is None:
        raise AttributeError(f"module 'interproc' has no attribute {name!r}")
    import importlib

    value: object = getattr(importlib.import_module(f"interproc.{module}"), name)
    globals()[name] = value
    return value


__all__ = [
    "SUBDEBUG",
    "SUBWARNING",
    "AbandonedError",
    "AbandonedWarning",
    "Array",
    "AuthenticationError",
    "Barrier",
    "BoundedSemaphore",
    "BufferTooShort",
    "Condition",
    "Event",
    "HandleExpired",
    "JoinableQueue",
    "LayoutMismatch",
    "Lock",
    "Manager",
    "Pipe",
    "Pool",
    "Process",
    "ProcessError",
    "Queue",
    "RLock",
    "RawArray",
    "RawValue",
    "Semaphore",
    "ShutDown",
    "SimpleQueue",
    "Snapshot",
    "TaskTimedOut",
    "TimeoutError",
    "UnsendableError",
    "Value",
    "WorkerDied",
    "active_children",
    "allow_connection_pickling",
    "buffer",
    "context",
    "cpu_count",
    "current_process",
    "freeze_support",
    "get_all_start_methods",
    "get_context",
    "get_logger",
    "get_start_method",
    "log_to_stderr",
    "parent_process",
    "process",
    "reducer",
    "reduction",
    "set_executable",
    "set_forkserver_preload",
    "set_start_method",
    "share",
]
