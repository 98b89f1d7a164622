"""Memory for ctypes objects: the standard library's own implementation, for programs that use it by itself.

Values and arrays of interproc lie in a heap of its own.
"""

from multiprocessing.heap import Arena, BufferWrapper, Heap, rebuild_arena, reduce_arena

__all__ = ["Arena", "BufferWrapper", "Heap", "rebuild_arena", "reduce_arena"]
