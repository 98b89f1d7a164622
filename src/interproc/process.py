"""Processes: the standard library's, except for what they can be started with and how daemons end."""

from __future__ import annotations

import multiprocessing.process
import os
import pickle
import signal
from multiprocessing.context import get_spawning_popen, set_spawning_popen
from multiprocessing.process import active_children, current_process, parent_process

TYPE_CHECKING = False  # without importing typing: see ARCHITECTURE.md on import time
if TYPE_CHECKING:
    from typing import Any

_standard: Any = multiprocessing.process  # typeshed leaves these out
AuthenticationString = _standard.AuthenticationString
ORIGINAL_DIR: str | None = _standard.ORIGINAL_DIR


class BaseProcess(multiprocessing.process.BaseProcess):
    """A process whose target, arguments and attributes may be anything that a queue takes.

    Lambdas, closures, bound methods and what was typed at a prompt go by value where the start method pickles them;
    what cannot be sent raises from `start()` and is named there. A daemon ends with its parent, also when that is
    killed.
    """

    def start(self) -> None:
        """Starts the process.

        Raises:
            UnsendableError: Something that the process needs cannot be sent; says which part.
        """
        from interproc.codec import main_module  # with the first process: it is half of the package

        if (getattr(self, "_start_method", None) or multiprocessing.get_start_method()) == "forkserver":
            from interproc.addresses import shorten_temp_dir

            shorten_temp_dir()  # the server listens there
        file = main_module.hide_false_file()
        try:
            super().start()
        finally:
            main_module.show_file(file)

    def interrupt(self) -> None:
        """Sends SIGINT to the process, which raises KeyboardInterrupt there; does nothing if it has ended.

        Returns at once. Python has this method since version 3.14.

        Raises:
            ValueError: The process object is closed.
        """
        this: Any = self  # typeshed leaves these out
        this._check_closed()
        if this._popen is None:
            raise AssertionError(f"can only interrupt a started process, not {self!r}")
        this._popen._send_signal(signal.SIGINT)

    def __reduce_ex__(self, protocol: Any) -> Any:
        popen = get_spawning_popen()
        if popen is None or isinstance(popen, _Sharing):
            return super().__reduce_ex__(protocol)
        from interproc.codec import pickling
        from interproc.state import state

        state.main_is_foreign = True
        names = {name: vars(self)[f"_{name}"] for name in ("target", "args", "kwargs")}
        set_spawning_popen(_Sharing(popen))  # type: ignore[arg-type]
        try:
            return _rebuild, (pickling.dumps(self, {**names, "process": self}),)
        finally:
            set_spawning_popen(popen)

    def _bootstrap(self, parent_sentinel: int | None = None) -> int:
        if self.daemon and parent_sentinel is not None:
            _end_with(parent_sentinel)
        code: int = super()._bootstrap(parent_sentinel)  # type: ignore[misc]  # typeshed leaves it out
        return code


class _Sharing:
    """Stands in for the Popen that a process is pickled for.

    Gives each descriptor to the child once, however often it is pickled: the Popen of multiprocessing wants that, and
    pickling by value begins after an attempt to pickle by name.
    """

    def __init__(self, popen: Any) -> None:
        self._popen = popen
        self._given: dict[int, Any] = {}
        self.DupFd = popen.DupFd

    def duplicate_for_child(self, fd: int) -> Any:
        if fd not in self._given:
            self._given[fd] = self._popen.duplicate_for_child(fd)
        return self._given[fd]


def _rebuild(pickled: bytes) -> BaseProcess:
    from interproc.state import state

    state.main_is_foreign = True
    process: BaseProcess = pickle.loads(pickled)
    return process


def _end_with(parent_sentinel: int) -> None:
    """Lets the kernel send SIGTERM to this process when its parent ends, however that ends.

    Linux signals a pipe's reader on request when the last writer goes.
    """
    import fcntl  # in children only

    from interproc.waiting import is_readable

    fcntl.fcntl(parent_sentinel, fcntl.F_SETOWN, os.getpid())
    fcntl.fcntl(parent_sentinel, fcntl.F_SETSIG, signal.SIGTERM)
    fcntl.fcntl(parent_sentinel, fcntl.F_SETFL, fcntl.fcntl(parent_sentinel, fcntl.F_GETFL) | os.O_ASYNC)
    if is_readable(parent_sentinel):  # the parent ended before
        os.kill(os.getpid(), signal.SIGTERM)


__all__ = [
    "ORIGINAL_DIR",
    "AuthenticationString",
    "BaseProcess",
    "active_children",
    "current_process",
    "parent_process",
]
