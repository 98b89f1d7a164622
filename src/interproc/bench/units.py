"""Unit: what a figure counts, how it is written, and whether more of it is better."""

from dataclasses import dataclass

PREFIXES = ((1e9, "G"), (1e6, "M"), (1e3, "k"), (1.0, ""), (1e-3, "m"), (1e-6, "µ"), (1e-9, "n"))


@dataclass(frozen=True)
class Unit:
    """A unit. Figures are kept in its base, without a prefix."""

    symbol: str
    higher_is_better: bool
    is_share: bool = False
    """A part of one, written in percent."""

    def text(self, value: float) -> str:
        """The figure with three digits and a prefix, like `1.23 MB/s`, or in percent."""
        if self.is_share:
            return f"{value:.2%}"
        # A figure that rounds up to a thousand belongs to the next prefix.
        rounded = float(f"{value:.3g}")
        scale, prefix = next((pair for pair in PREFIXES if abs(rounded) >= pair[0]), PREFIXES[-1])
        return f"{float(f'{rounded / scale:.3g}'):g} {prefix}{self.symbol}"

    def times_better(self, ours: float, theirs: float) -> float | None:
        """How many times better `ours` is, None where a zero makes the question empty."""
        above, below = (ours, theirs) if self.higher_is_better else (theirs, ours)
        return above / below if above > 0 and below > 0 else None


MESSAGES_PER_SECOND = Unit("/s", higher_is_better=True)
BYTES_PER_SECOND = Unit("B/s", higher_is_better=True)
SECONDS = Unit("s", higher_is_better=False)
BYTES = Unit("B", higher_is_better=False)
CORE_SHARE = Unit("of a core", higher_is_better=False, is_share=True)
