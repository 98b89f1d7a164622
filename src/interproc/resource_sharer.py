"""The thread that hands out descriptors which were pickled: the standard library's own, one for both packages."""

from multiprocessing.resource_sharer import DupFd, stop

__all__ = ["DupFd", "stop"]
