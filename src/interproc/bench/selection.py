"""Selection: rows and sweeps by patterns of their keys."""

from collections.abc import Sequence
from fnmatch import fnmatchcase
from typing import Protocol, TypeVar

WILDCARDS = frozenset("*?[")


class Keyed(Protocol):
    """What has a key."""

    @property
    def key(self) -> str:
        """A short name, unique among its kind."""
        ...


K = TypeVar("K", bound=Keyed)


def select(candidates: Sequence[K], pattern: str) -> list[K]:
    """Those whose key contains the pattern, or matches it where it has wildcards; commas join patterns."""
    patterns = [each if WILDCARDS & set(each) else f"*{each}*" for each in pattern.split(",")]
    return [candidate for candidate in candidates if any(fnmatchcase(candidate.key, each) for each in patterns)]
