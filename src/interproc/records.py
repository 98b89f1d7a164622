"""Records: who named memory belongs to, and the removal of what belongs to nobody any more.

Beside each file stands a symbolic link, which is made and read as a whole. It is called after the file's inode, and
says who the owners are and what the file's name is. Once the owners have ended and nobody has the file mapped, both go.
"""

from __future__ import annotations

import errno
import fcntl
import os
from collections.abc import Iterator

from interproc.owners import Owners

PREFIX = ".interproc."


class Records:
    """The records in a folder. Those of other users count for nothing."""

    def __init__(self, folder: str) -> None:
        self._folder = folder

    def write(self, inode: int, name: str) -> None:
        """Says that a file, which is about to get this name, belongs to this program."""
        record, text = self._path(inode), f"{Owners.here()} {name}"
        try:
            os.symlink(text, record)
        except FileExistsError:  # of an earlier file with the same inode
            os.unlink(record)
            os.symlink(text, record)

    def erase(self, inode: int) -> bool:
        """Removes a record, and tells whether there was one."""
        try:
            os.unlink(self._path(inode))
        except FileNotFoundError:
            return False
        return True

    def is_there(self, name: str) -> bool:
        """Whether the file of a name has a record."""
        try:
            return self._read(os.lstat(os.path.join(self._folder, name)).st_ino) is not None
        except FileNotFoundError:
            return False

    def sweep(self, but_for: int = 0) -> bool:
        """Removes all orphans.

        Args:
            but_for: A process that counts as ended, because it is about to.

        Returns:
            Whether there were any.
        """
        orphans = {inode: name for inode, name, owners in self._all() if owners.have_ended(but_for)}
        mapped = _mapped_inodes(but_for) if orphans else set()
        removed = [self._remove(inode, name) for inode, name in orphans.items() if inode not in mapped]
        return any(removed)

    def remove_orphan(self, name: str) -> int:
        """Removes a file if it is an orphan, and returns its inode; zero if it is none."""
        try:
            inode = os.lstat(os.path.join(self._folder, name)).st_ino
        except FileNotFoundError:
            return 0
        read = self._read(inode)
        if read is None or not read[0].have_ended() or inode in _mapped_inodes():
            return 0
        return inode if self._remove(inode, name) else 0

    def _all(self) -> Iterator[tuple[int, str, Owners]]:
        """The inode, name and owners of each file that has a record."""
        for record in os.listdir(self._folder):
            number = record.removeprefix(PREFIX)
            if record.startswith(PREFIX) and number.isdecimal():
                read = self._read(int(number))
                if read is not None:
                    yield int(number), read[1], read[0]

    def _read(self, inode: int) -> tuple[Owners, str] | None:
        record = self._path(inode)
        try:
            owners, _, name = os.readlink(record).partition(" ")
            if os.lstat(record).st_uid != os.geteuid():
                return None
            return Owners.from_text(owners), os.path.basename(name)
        except (FileNotFoundError, ValueError):
            return None
        except OSError as error:
            if error.errno == errno.EINVAL:  # no symbolic link, so not ours
                return None
            raise

    def _remove(self, inode: int, name: str) -> bool:
        """Removes an orphan and its record.

        Others may do so at the same time, and one of them may give the name to something new. Who holds the lock on the
        old file and still finds it under the name is alone with it.
        """
        path = os.path.join(self._folder, name)
        try:
            fd = os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
        except (FileNotFoundError, PermissionError):  # gone, or another user's by now: the record is of nothing
            return self.erase(inode)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.lstat(path).st_ino == inode == os.fstat(fd).st_ino:
                os.unlink(path)
            self.erase(inode)
        except (BlockingIOError, FileNotFoundError):  # another process is removing it
            pass
        finally:
            os.close(fd)
        return True

    def _path(self, inode: int) -> str:
        return os.path.join(self._folder, f"{PREFIX}{inode}")


def _mapped_inodes(but_for: int = 0) -> set[int]:
    """The inodes of the files that processes of this user have mapped."""
    found: set[int] = set()
    for pid in filter(str.isdecimal, os.listdir("/proc")):
        if int(pid) == but_for:
            continue
        try:
            with open(f"/proc/{pid}/maps", "rb") as maps:
                found.update(int(line.split(None, 5)[4]) for line in maps)
        except (PermissionError, FileNotFoundError, ProcessLookupError):  # another user's, or it has just ended
            continue
    return found


__all__ = ["PREFIX", "Records"]
