"""What the records in /dev/shm say; other programs of the machine have theirs there too."""

import os
from pathlib import Path

SHM = Path("/dev/shm")


def recorded_names() -> list[str]:
    """The names of all blocks that belong to a program."""
    return [text.split(" ", 1)[1] for text in _texts()]


def names_of_this_process() -> list[str]:
    """The names of the blocks that this process is an owner of."""
    return sorted(text.split(" ", 1)[1] for text in _texts() if f"{os.getpid()}:" in text)


def _texts() -> list[str]:
    found = []
    for record in SHM.glob(".interproc.*"):
        try:
            found.append(os.readlink(record))
        except OSError:  # gone by now, or no link
            continue
    return [text for text in found if " " in text]
