"""Progress: how far a run of the demonstration is."""

from collections.abc import Callable
from typing import NamedTuple, TypeAlias


class Progress(NamedTuple):
    """How far a run is.

    Attributes:
        file_count: Files whose report is here.
        announced_count: Identifiers that are in those files.
        counted_count: Identifiers that are counted already.
    """

    file_count: int = 0
    announced_count: int = 0
    counted_count: int = 0

    @property
    def finished_files(self) -> float:
        """Files done, where a file is done when its identifiers are counted; of those that are not, the share."""
        if self.announced_count == 0:
            return self.file_count
        return self.file_count * min(1.0, self.counted_count / self.announced_count)


OnProgress: TypeAlias = Callable[[Progress], None]
