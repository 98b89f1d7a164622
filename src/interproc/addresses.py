"""Where a Listener can listen: the families of addresses, and paths that are short enough for a socket."""

from __future__ import annotations

import errno
import multiprocessing.connection
import multiprocessing.util
import os
import socket
import tempfile
from multiprocessing.process import current_process
from multiprocessing.util import Finalize, is_abstract_socket_namespace

TYPE_CHECKING = False  # without importing typing: see ARCHITECTURE.md on import time
if TYPE_CHECKING:
    from typing import Any

    Address = str | bytes | tuple[Any, ...]

MOST_PATH_BYTES = 107  # of sun_path in <sys/un.h>, less its null
_MOST_FOLDER_BYTES = MOST_PATH_BYTES - len("/listener-01234567")
_FOLDER_NAME = "pymp-01234567"
_SHORT_FOLDERS = ("/tmp", "/var/tmp", "/dev/shm")
_AFTER_LISTENERS = -100  # their sockets lie in the folder

_standard: Any = multiprocessing.connection  # typeshed leaves these out
default_family: str = _standard.default_family
families: list[Any] = [*_standard.families, *(["AF_INET6"] if socket.has_ipv6 else [])]


def address_type(address: object) -> str:
    """Returns the family of an address.

    Returns:
        "AF_INET" for a host and a port, "AF_INET6" for those whose host is an IPv6 address and for the tuples of four
        that IPv6 sockets have, "AF_UNIX" for a path.

    Raises:
        ValueError: It is nothing of that.
    """
    if isinstance(address, tuple):
        is_version_6 = len(address) == 4 or (bool(address) and isinstance(address[0], str) and ":" in address[0])
        return "AF_INET6" if is_version_6 else "AF_INET"
    if isinstance(address, str) and address.startswith("\\\\"):
        return "AF_PIPE"
    if isinstance(address, str) or (isinstance(address, bytes) and is_abstract_socket_namespace(address)):
        return "AF_UNIX"
    raise ValueError(f"address type of {address!r} unrecognized: it must be a path, or a tuple of host and port")


def arbitrary_address(family: str) -> Any:
    """Returns an address of a family that nobody listens at.

    Raises:
        OSError: There is no folder that is short enough for a socket.
        ValueError: The family is not known.
    """
    if family == "AF_INET":
        return ("localhost", 0)
    if family == "AF_INET6":
        return ("::1", 0)
    if family == "AF_UNIX":
        return os.path.join(get_temp_dir(), f"listener-{os.urandom(4).hex()}")
    raise ValueError(f"unrecognized family {family!r}: there are {', '.join(families)}")


def check_family(family: str) -> None:
    """Raises ValueError if the system has no such family of addresses."""
    if family == "AF_PIPE" or not hasattr(socket, family):
        raise ValueError(f"Family {family} is not recognized: there are {', '.join(families)}")


def check_path(address: object) -> None:
    """Raises OSError if an address is a path that is too long for a socket."""
    length = len(os.fsencode(address)) if isinstance(address, (str, bytes)) else 0
    if length > MOST_PATH_BYTES:
        raise OSError(
            errno.ENAMETOOLONG,
            f"AF_UNIX path too long: {length} bytes, where the system takes {MOST_PATH_BYTES}. Choose a shorter one; or"
            " give the Listener no address, and clients its `address`",
            os.fsdecode(address) if isinstance(address, bytes) else address,
        )


def get_temp_dir() -> str:
    """Returns a folder of this program alone, which is removed at its end; sockets in it have paths short enough.

    Differs: it lies outside of TMPDIR where that is too long for a socket.
    """
    shorten_temp_dir()
    folder: str = multiprocessing.util.get_temp_dir()
    return folder


def shorten_temp_dir() -> None:
    """Sees to it that multiprocessing's own sockets, too, get paths that are short enough.

    Raises:
        OSError: There is no folder that is short enough.
    """
    config: dict[str, Any] = current_process()._config  # type: ignore[attr-defined]  # which children inherit
    folder = config.get("tempdir") or os.path.join(tempfile.gettempdir(), _FOLDER_NAME)
    if len(os.fsencode(folder)) <= _MOST_FOLDER_BYTES:
        return
    for place in filter(_is_usable, _SHORT_FOLDERS):
        folder = tempfile.mkdtemp(prefix="pymp-", dir=place)
        Finalize(None, _remove_folder, args=(folder,), exitpriority=_AFTER_LISTENERS)
        config["tempdir"] = folder
        return
    raise OSError(
        errno.ENAMETOOLONG,
        f"AF_UNIX path too long below this folder, and none of {', '.join(_SHORT_FOLDERS)} can be written: set TMPDIR"
        f" to a folder whose path has at most {_MOST_FOLDER_BYTES - len(_FOLDER_NAME) - 1} bytes",
        tempfile.gettempdir(),
    )


def _is_usable(folder: str) -> bool:
    return os.access(folder, os.W_OK | os.X_OK)


def _remove_folder(folder: str) -> None:
    import shutil

    shutil.rmtree(folder, ignore_errors=True)
    config: dict[str, Any] = current_process()._config  # type: ignore[attr-defined]
    if config.get("tempdir") == folder:
        config["tempdir"] = None


__all__ = [
    "address_type",
    "arbitrary_address",
    "check_family",
    "check_path",
    "default_family",
    "families",
    "get_temp_dir",
    "shorten_temp_dir",
]
