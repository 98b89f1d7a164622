"""The server that processes are forked from: the standard library's own, one for both packages.

Its socket gets a path that is short enough, also where TMPDIR is not.
"""

import multiprocessing.forkserver
from multiprocessing.forkserver import (
    MAXFDS_TO_SEND,
    SIGNED_STRUCT,
    ForkServer,
    get_inherited_fds,
    main,
    read_signed,
    set_forkserver_preload,
    write_signed,
)
from typing import Any

from interproc.addresses import shorten_temp_dir

_standard: Any = multiprocessing.forkserver  # typeshed leaves this out
_forkserver: ForkServer = _standard._forkserver


def ensure_running() -> None:
    """Starts the server if it does not run; blocks until it does.

    Raises:
        OSError: It cannot be started.
    """
    shorten_temp_dir()
    _forkserver.ensure_running()


def connect_to_new_process(fds: list[int]) -> tuple[int, int]:
    """Lets the server fork a process; starts the server if it does not run.

    Args:
        fds: Descriptors that the process shall inherit.

    Returns:
        A descriptor to read the process's pid and exit code from, and one to write what it shall do to.

    Raises:
        ValueError: There are too many descriptors.
        OSError: The server cannot be started.
    """
    shorten_temp_dir()
    read_fd, write_fd = _forkserver.connect_to_new_process(fds)
    return read_fd, write_fd


__all__ = [
    "MAXFDS_TO_SEND",
    "SIGNED_STRUCT",
    "ForkServer",
    "connect_to_new_process",
    "ensure_running",
    "get_inherited_fds",
    "main",
    "read_signed",
    "set_forkserver_preload",
    "write_signed",
]
