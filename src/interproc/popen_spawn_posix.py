"""Starting a process that begins in a fresh interpreter: the standard library's own implementation."""

from multiprocessing.popen_spawn_posix import Popen

__all__ = ["Popen"]
