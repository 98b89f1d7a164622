"""Named memory: files that live in memory, under names by which every process of the user can open them.

They lie where shm_open() puts them, so that the standard library and other programs find them under the same names. A
file gets its name only when all its memory is there and its owners are recorded; before that, the kernel frees it with
its maker. What belongs to a program that has ended is removed by whoever makes or opens named memory next.
"""

from __future__ import annotations

import errno
import os
import tempfile
import time
from contextlib import suppress
from multiprocessing.util import Finalize

from interproc.records import PREFIX, Records

FOLDER_VARIABLE = "INTERPROC_SHM_FOLDER"
_USUAL_FOLDER = "/dev/shm"
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT)
_STEP_BYTES = 64 << 20  # of a reservation: the kernel starts a step over when a signal interrupts it
_SECONDS_BETWEEN_SWEEPS = 1.0
_AT_THE_VERY_END = -100  # after the children were joined


def folder() -> str:
    """Returns where the names are.

    That is what the environment variable INTERPROC_SHM_FOLDER says, else /dev/shm; where there is none, a folder of
    this user among the temporary files.

    Raises:
        OSError: The variable names no folder, or somebody else made the temporary one.
    """
    chosen = os.environ.get(FOLDER_VARIABLE)
    if chosen:
        if not os.path.isdir(chosen):
            raise NotADirectoryError(errno.ENOTDIR, f"{FOLDER_VARIABLE} names no folder: make it, or unset it", chosen)
        return chosen
    if os.access(_USUAL_FOLDER, os.W_OK | os.X_OK):
        return _USUAL_FOLDER
    return _private_folder(os.path.join(tempfile.gettempdir(), f"interproc-shm-{os.geteuid()}"))


def reserve(size: int, mode: int) -> int:
    """Returns a descriptor of a new file without a name, all of whose memory is there.

    Raises:
        OSError: There is not enough, says how much there is and how to get more; or the folder cannot hold it.
    """
    place = folder()
    try:
        fd = os.open(place, os.O_TMPFILE | os.O_RDWR | os.O_CLOEXEC, mode)
    except OSError as error:
        if error.errno not in (errno.EOPNOTSUPP, errno.EISDIR, errno.ENOENT):
            raise
        raise OSError(
            errno.EOPNOTSUPP,
            "this folder's file system cannot hold shared memory (it lacks O_TMPFILE): set"
            f" {FOLDER_VARIABLE} to a folder of another",
            place,
        ) from error
    try:
        _fill(fd, size, place)
    except BaseException:
        os.close(fd)
        raise
    return fd


def publish(fd: int, name: str, owned: bool) -> None:
    """Gives a reserved file its name.

    Args:
        fd: What `reserve` returned.
        name: The name.
        owned: Whether the file goes with the program of this process; otherwise it stays until it is unlinked.

    Raises:
        FileExistsError: The name is taken.
    """
    place, plain = folder(), plain_name(name)
    records, path = Records(place), os.path.join(place, plain)
    _sweeps.sweep_now_and_then(records)
    inode = os.fstat(fd).st_ino
    if owned:
        records.write(inode, plain)
    try:
        try:
            _link(fd, path)
        except FileExistsError:
            if not records.remove_orphan(plain):
                raise
            _link(fd, path)
    except BaseException as error:
        if owned:
            records.erase(inode)
        if not isinstance(error, FileExistsError):
            raise
        raise FileExistsError(
            errno.EEXIST, "shared memory of this name exists: attach to it with create=False, or unlink it", path
        ) from None


def attach(name: str, flags: int) -> int:
    """Opens a file by its name.

    Raises:
        FileNotFoundError: There is none, or only one that belonged to a program that has ended.
        OSError: It cannot be opened.
    """
    place, plain = folder(), plain_name(name)
    records, path = Records(place), os.path.join(place, plain)
    _sweeps.sweep_now_and_then(records)
    orphan = records.remove_orphan(plain)
    try:
        fd = os.open(path, (flags & ~(os.O_CREAT | os.O_EXCL)) | os.O_CLOEXEC | os.O_NOFOLLOW)
    except FileNotFoundError:
        why = "the program that made the shared memory of this name has ended" if orphan else "no such shared memory"
        raise FileNotFoundError(errno.ENOENT, why, path) from None
    if orphan and os.fstat(fd).st_ino == orphan:  # another process is removing it
        os.close(fd)
        raise FileNotFoundError(errno.ENOENT, "the program that made the shared memory of this name has ended", path)
    return fd


def unlink(name: str) -> None:
    """Takes a file's name away; its memory stays for those who have it.

    Raises:
        FileNotFoundError: There is no such name.
    """
    place = folder()
    path = os.path.join(place, plain_name(name))
    inode = os.lstat(path).st_ino
    os.unlink(path)
    Records(place).erase(inode)


def is_recorded(name: str) -> bool:
    """Whether a name is that of a file which belongs to a program."""
    return Records(folder()).is_there(plain_name(name))


def plain_name(name: str) -> str:
    """Returns a name without the slash that it may begin with.

    Raises:
        OSError: It cannot be the name of shared memory.
        ValueError: It contains a null character.
    """
    plain = name.lstrip("/")
    if "\0" in plain:
        raise ValueError(f"embedded null character in the name {name!r}")
    if not plain or "/" in plain or plain in (".", "..") or plain.startswith(PREFIX):
        raise OSError(errno.EINVAL, "not a name for shared memory: it must be one that a file can have", name)
    return plain


class _Sweeps:
    """When this process last removed what others left behind."""

    def __init__(self) -> None:
        self._pid = 0
        self._next = 0.0

    def sweep_now_and_then(self, records: Records) -> None:
        """Sweeps when this process first comes here, at most once a second after that, and when it ends."""
        now = time.monotonic()
        if self._pid == os.getpid() and now < self._next:
            return
        self._next = now + _SECONDS_BETWEEN_SWEEPS
        if self._pid != os.getpid():
            self._pid = os.getpid()
            Finalize(None, records.sweep, args=(self._pid,), exitpriority=_AT_THE_VERY_END)
        records.sweep()


_sweeps = _Sweeps()


def _fill(fd: int, size: int, place: str) -> None:
    try:
        try:
            _allocate(fd, size)
        except OSError as error:
            if error.errno not in _NO_ROOM or not Records(place).sweep():
                raise
            _allocate(fd, size)
    except OSError as error:
        if error.errno not in _NO_ROOM:
            raise
        raise _too_small(place, size, error) from None


def _allocate(fd: int, size: int) -> None:
    room = os.fstatvfs(fd)
    if room.f_blocks and room.f_bavail * room.f_frsize < size:  # a file system without a limit says zero
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    for start in range(0, size, _STEP_BYTES):
        os.posix_fallocate(fd, start, min(_STEP_BYTES, size - start))


def _link(fd: int, path: str) -> None:
    # Only when given a descriptor does os.link() call linkat(), which follows the link that /proc shows.
    os.link(f"/proc/self/fd/{fd}", path, src_dir_fd=fd, follow_symlinks=True)


def _private_folder(path: str) -> str:
    with suppress(FileExistsError):
        os.mkdir(path, 0o700)
    found = os.lstat(path)
    if found.st_uid != os.geteuid() or found.st_mode & 0o170077 != 0o040000:
        raise PermissionError(
            errno.EPERM,
            f"{_USUAL_FOLDER} cannot be used, and this is not a folder of this user alone: remove it, or set"
            f" {FOLDER_VARIABLE} to a folder",
            path,
        )
    return path


def _too_small(place: str, size: int, error: OSError) -> OSError:
    room = os.statvfs(place)
    return OSError(
        error.errno,
        f"no room for {size} bytes of shared memory: {room.f_bavail * room.f_frsize} of"
        f" {room.f_blocks * room.f_frsize} bytes are free. Unlink what is not needed; make it larger (mount -o"
        f" remount,size=8G {place}; docker run --shm-size=8g; in Kubernetes mount an emptyDir with medium: Memory"
        f" there); or set {FOLDER_VARIABLE} to a folder with room",
        place,
    )


__all__ = ["FOLDER_VARIABLE", "attach", "folder", "is_recorded", "plain_name", "publish", "reserve", "unlink"]
