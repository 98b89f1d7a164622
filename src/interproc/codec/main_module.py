"""Which `__main__` other processes see.

A child that was not forked runs the program's file or module again to have its functions. It cannot where the program
was typed at a prompt, given by `-c` or read from standard input: then what `__main__` defines goes by value.
"""

import multiprocessing
import os
import sys
from types import FunctionType, ModuleType

from interproc.state import state


def can_be_imported() -> bool:
    """Whether a started process can get this program's `__main__` by running it again."""
    main = sys.modules["__main__"]
    return getattr(main, "__spec__", None) is not None or _has_file(main)


def goes_by_value() -> bool:
    """Whether what `__main__` defines has to be sent by value.

    Forked children have inherited `__main__`, so that names are enough where every process is forked.
    """
    if can_be_imported():
        return False
    method = multiprocessing.get_start_method(allow_none=True) or multiprocessing.get_all_start_methods()[0]
    return state.main_is_foreign or method != "fork"


def defines(obj: object) -> bool:
    """Whether `obj` is a function or class of `__main__`."""
    return isinstance(obj, (FunctionType, type)) and getattr(obj, "__module__", None) == "__main__"


def exports(obj: object) -> bool:
    """Whether a started process finds `obj`, a function or class of `__main__`, under its name."""
    if not can_be_imported():
        return False
    found: object = sys.modules["__main__"]
    for name in getattr(obj, "__qualname__", "<none>").split("."):
        found = getattr(found, name, None)
    return found is obj


def hide_false_file() -> str | None:
    """Hides a `__file__` that names no file, like `<stdin>`, which a started process would try to run.

    Returns:
        What to give to `show_file` afterwards.
    """
    main = sys.modules["__main__"]
    if not hasattr(main, "__file__") or _has_file(main):
        return None
    file = main.__file__
    del main.__file__
    return file


def show_file(file: str | None) -> None:
    """Undoes `hide_false_file`."""
    if file is not None:
        sys.modules["__main__"].__file__ = file


def _has_file(main: ModuleType) -> bool:
    file = getattr(main, "__file__", None)
    return file is not None and os.path.isfile(file)
