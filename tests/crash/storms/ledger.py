"""Ledger: numbers in a file that every process of a storm maps, so that what a killed one noted is not lost."""

from __future__ import annotations

import mmap
import os
from pathlib import Path

HEADER_WORDS = 64
WORD_BYTES = 8


class Ledger:
    """Words that all share, words of each process, and one byte for each message of each process.

    A word is written in one step; nothing else is atomic, so each has one writer at a time. Pickles as its path.

    Args:
        path: The file; made if it is not there.
        places: How many processes there can be, one after the other.
        words: How many words each has.
        marks: How many messages each can send.
    """

    def __init__(self, path: Path, places: int, words: int, marks: int = 0) -> None:
        self._arguments = (path, places, words, marks)
        self._words_each = words
        self._marks_each = marks
        self._marks_at = (HEADER_WORDS + places * words) * WORD_BYTES
        with open(path, "r+b" if path.exists() else "w+b") as file:
            file.truncate(self._marks_at + places * marks)  # sparse
            self._memory = mmap.mmap(file.fileno(), os.fstat(file.fileno()).st_size)
        self._words = memoryview(self._memory)[: self._marks_at].cast("Q")

    def __reduce__(self) -> tuple[type[Ledger], tuple[Path, int, int, int]]:
        return Ledger, self._arguments

    def close(self) -> None:
        """Gives the mapping back."""
        self._words.release()
        self._memory.close()

    def shared(self, word: int) -> int:
        """A word that all share."""
        return self._words[word]

    def set_shared(self, word: int, value: int) -> None:
        """Writes it."""
        self._words[word] = value

    def read(self, place: int, word: int) -> int:
        """A word of one process."""
        return self._words[HEADER_WORDS + place * self._words_each + word]

    def write(self, place: int, word: int, value: int) -> None:
        """Writes it."""
        self._words[HEADER_WORDS + place * self._words_each + word] = value

    def add(self, place: int, word: int) -> None:
        """Counts one more; for the process itself."""
        self.write(place, word, self.read(place, word) + 1)

    def total(self, word: int, places: int) -> int:
        """Its sum over the first `places` processes."""
        return sum(self.read(place, word) for place in range(places))

    def mark(self, place: int, number: int) -> None:
        """Notes that a message of that process arrived."""
        at = self._marks_at + place * self._marks_each + number
        self._memory[at] = min(self._memory[at] + 1, 255)

    def marks(self, place: int, count: int) -> bytes:
        """How often each of the first `count` messages of that process arrived."""
        at = self._marks_at + place * self._marks_each
        return self._memory[at : at + count]
