"""SharedMemoryServer: a manager's server that also removes shared memory."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from interproc.managing.server import Server

_ABOUT_MEMORY = ("track_segment", "release_segment", "list_segments")


class SharedMemoryServer(Server):
    """Keeps the names of shared memory too, and removes that in the end."""

    public = (*Server.public, *_ABOUT_MEMORY)
    for_sessions = (*Server.for_sessions, *_ABOUT_MEMORY)

    def __init__(self, registry: Mapping[str, Any], address: Any, authkey: bytes, serializer: str) -> None:
        super().__init__(registry, address, authkey, serializer)
        self._segments: list[str] = []

    def track_segment(self, c: Any, segment_name: str) -> None:
        """Removes the memory of this name in the end."""
        self._segments.append(segment_name)

    def release_segment(self, c: Any, segment_name: str) -> None:
        """Removes the memory of this name now."""
        from interproc.shared_memory import SharedMemory

        self._segments.remove(segment_name)
        segment = SharedMemory(segment_name)
        segment.close()
        segment.unlink()

    def list_segments(self, c: Any) -> list[str]:
        """The names of the memory that is kept."""
        return list(self._segments)

    def shutdown(self, c: Any) -> str:
        """Removes all memory and ends the server."""
        self.release_all()
        return super().shutdown(c)

    def release_all(self) -> None:
        """Removes all memory."""
        for name in self.list_segments(None):
            with suppress(FileNotFoundError):  # somebody unlinked it
                self.release_segment(None, name)


__all__ = ["SharedMemoryServer"]
