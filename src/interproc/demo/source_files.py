"""Source files: which files the demonstration reads."""

import os
import stat
import sysconfig
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path

SKIPPED_FOLDERS = frozenset({"__pycache__", "site-packages", "dist-packages"})


class SourceFolderError(Exception):
    """There is nothing to read; the text fits one line."""


def standard_library() -> Path:
    """The folder of the running interpreter's standard library."""
    return Path(sysconfig.get_path("stdlib"))


def find_source_files(folder: Path) -> list[str]:
    """Lists the Python files below a folder, sorted, without those of installed packages and of hidden folders.

    Links to folders are not followed. What cannot be read, be it a file or a folder in there, is listed too: reading it
    will say why.

    Raises:
        SourceFolderError: The folder does not exist, is no folder, cannot be read, or holds no Python file.
    """
    try:
        os.scandir(folder).close()
    except OSError as error:
        raise SourceFolderError(f"{folder}: {error.strerror}") from error
    unreadable: list[OSError] = []
    found: list[str] = []
    for parent, folders, names in os.walk(folder, onerror=unreadable.append):
        folders[:] = [name for name in folders if name not in SKIPPED_FOLDERS and not name.startswith(".")]
        found += [os.path.join(parent, name) for name in names if name.endswith(".py")]
    found += [error.filename for error in unreadable]
    if not found:
        raise SourceFolderError(f"{folder}: no Python files in there")
    return sorted(found)


def read_ahead(paths: Iterable[str]) -> None:
    """Reads every file once, so that the first run to be timed does not pay for a cold disk."""
    for path in paths:
        with suppress(OSError):  # the runs will report it
            read_source(path)


def read_source(path: str) -> bytes:
    """Reads a regular file. Raises for anything else: reading a named pipe could wait for ever.

    Raises:
        OSError: It cannot be read.
    """
    with open(path, "rb", opener=lambda name, flags: os.open(name, flags | os.O_NONBLOCK)) as file:
        if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
            raise OSError(0, "Not a regular file", path)
        return file.read()
