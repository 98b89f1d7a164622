"""Pipes and listeners between threads: the standard library's own implementation."""

from multiprocessing.dummy.connection import Client, Connection, Listener, Pipe, families

__all__ = ["Client", "Connection", "Listener", "Pipe", "families"]
