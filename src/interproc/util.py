"""Finalizers, fork hooks and logging: the standard library's own implementation, but for where sockets lie."""

import multiprocessing.util
from multiprocessing.util import (
    DEBUG,
    DEFAULT_LOGGING_FORMAT,
    INFO,
    LOGGER_NAME,
    NOTSET,
    SUBDEBUG,
    SUBWARNING,
    Finalize,
    ForkAwareLocal,
    ForkAwareThreadLock,
    abstract_sockets_supported,
    close_all_fds_except,
    debug,
    get_logger,
    info,
    is_abstract_socket_namespace,
    is_exiting,
    log_to_stderr,
    register_after_fork,
    spawnv_passfds,
    sub_debug,
    sub_warning,
)
from typing import Any

from interproc.addresses import get_temp_dir

_standard: Any = multiprocessing.util  # typeshed leaves these out
MAXFD: int = _standard.MAXFD
close_fds = _standard.close_fds

__all__ = [
    "DEBUG",
    "DEFAULT_LOGGING_FORMAT",
    "INFO",
    "LOGGER_NAME",
    "MAXFD",
    "NOTSET",
    "SUBDEBUG",
    "SUBWARNING",
    "Finalize",
    "ForkAwareLocal",
    "ForkAwareThreadLock",
    "abstract_sockets_supported",
    "close_all_fds_except",
    "close_fds",
    "debug",
    "get_logger",
    "get_temp_dir",
    "info",
    "is_abstract_socket_namespace",
    "is_exiting",
    "log_to_stderr",
    "register_after_fork",
    "spawnv_passfds",
    "sub_debug",
    "sub_warning",
]
