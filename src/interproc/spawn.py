"""How a process begins in a fresh interpreter: the standard library's own implementation, and its state."""

import multiprocessing.spawn
from multiprocessing.spawn import (
    WINEXE,
    WINSERVICE,
    freeze_support,
    get_command_line,
    get_executable,
    get_preparation_data,
    import_main_path,
    is_forking,
    old_main_modules,
    prepare,
    set_executable,
    spawn_main,
)
from typing import Any

_standard: Any = multiprocessing.spawn  # typeshed leaves this out
_main = _standard._main

__all__ = [
    "WINEXE",
    "WINSERVICE",
    "_main",
    "freeze_support",
    "get_command_line",
    "get_executable",
    "get_preparation_data",
    "import_main_path",
    "is_forking",
    "old_main_modules",
    "prepare",
    "set_executable",
    "spawn_main",
]
