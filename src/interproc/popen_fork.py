"""Starting a process that begins as a copy of this one: the standard library's own implementation."""

from multiprocessing.popen_fork import Popen

__all__ = ["Popen"]
