"""The folder of a program's Unix sockets: a short path also where TMPDIR is a long one.

The kernel takes 107 bytes as the address of a socket. Managers, the fork server and listeners without an address put
theirs into the folder that multiprocessing gives a program, below TMPDIR.
"""

from __future__ import annotations

import errno
import os
import shutil
import tempfile
from multiprocessing.process import current_process

from interproc.util import Finalize, get_temp_dir

_LONGEST_ROOT_BYTES = 107 - len("/pymp-xxxxxxxx/listener-xxxxxxxx")
_SHORT_ROOTS = ("/tmp", "/var/tmp", "/dev/shm")


def make_short() -> str:
    """Returns the folder, which from now on is short enough in this process and in its children.

    Raises:
        OSError: No folder with a short path can be written.
    """
    config = current_process()._config  # type: ignore[attr-defined]
    root = os.path.dirname(config.get("tempdir") or os.path.join(tempfile.gettempdir(), ""))
    if len(os.fsencode(root)) <= _LONGEST_ROOT_BYTES:
        return get_temp_dir()
    folder = _make_somewhere()
    Finalize(None, shutil.rmtree, (folder, True), exitpriority=-100)
    config["tempdir"] = folder
    return folder


def _make_somewhere() -> str:
    roots = [root for root in (os.environ.get("XDG_RUNTIME_DIR"), *_SHORT_ROOTS) if root]
    for root in roots:
        if len(os.fsencode(root)) <= _LONGEST_ROOT_BYTES:
            try:
                return tempfile.mkdtemp(prefix="pymp-", dir=root)
            except OSError:
                continue
    raise OSError(
        errno.ENAMETOOLONG,
        f"TMPDIR {tempfile.gettempdir()!r} is too long for the path of a Unix socket, and no folder can be made in"
        f" {', '.join(roots)}: set TMPDIR to a folder whose path has at most {_LONGEST_ROOT_BYTES} bytes",
    )


__all__ = ["make_short"]
