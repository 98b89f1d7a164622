"""Starting a process that is forked from a server: the standard library's own implementation."""

from multiprocessing.popen_forkserver import Popen

__all__ = ["Popen"]
