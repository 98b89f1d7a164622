"""Medians, ratios and verdicts."""

import pytest

from interproc.bench.results import RowResult
from interproc.bench.targets import AtMost, Both, LikeRow, ShareOfRow, Target, TimesBetter, TimesTheTime
from interproc.bench.units import BYTES_PER_SECOND, CORE_SHARE, MESSAGES_PER_SECOND, SECONDS, Unit
from tests.bench.fakes import result


def test_ratio_is_that_of_the_medians() -> None:
    some = result({"multiprocessing": [1.0, 10.0, 2.0], "interproc": [8.0, 1.0, 100.0]})
    assert some.ratio("interproc") == 4.0
    assert some.ratio("multiprocessing") == 1.0


def test_ratio_of_times_is_turned_over() -> None:
    some = result({"multiprocessing": [8.0], "interproc": [2.0]}, SECONDS)
    assert some.ratio("interproc") == 4.0


def test_no_ratio_without_multiprocessing() -> None:
    assert result({"interproc": [2.0]}).ratio("interproc") is None


def test_no_ratio_to_nothing() -> None:
    assert result({"multiprocessing": [0.0], "interproc": [0.01]}, CORE_SHARE).ratio("interproc") is None


@pytest.mark.parametrize(
    ("target", "unit", "baseline", "ours", "is_met"),
    [
        (TimesBetter(3), MESSAGES_PER_SECOND, 1.0, 3.0, True),
        (TimesBetter(3), MESSAGES_PER_SECOND, 1.0, 2.9, False),
        (TimesBetter(3), SECONDS, 3.0, 1.0, True),
        (TimesTheTime(1.3), SECONDS, 1.0, 1.2, True),
        (TimesTheTime(1.3), SECONDS, 1.0, 1.4, False),
        (AtMost(0.01, CORE_SHARE), CORE_SHARE, 0.0, 0.009, True),
        (AtMost(0.01, CORE_SHARE), CORE_SHARE, 0.0, 0.011, False),
        (LikeRow(1.25, "before"), SECONDS, 1.0, 1.2, True),
        (LikeRow(1.25, "before"), SECONDS, 1.0, 1.3, False),
        (ShareOfRow(0.5, "before"), BYTES_PER_SECOND, 1.0, 0.5, True),
        (ShareOfRow(0.5, "before"), BYTES_PER_SECOND, 1.0, 0.4, False),
        (Both(TimesBetter(3), ShareOfRow(0.5, "before")), BYTES_PER_SECOND, 0.2, 0.7, True),
        (Both(TimesBetter(3), ShareOfRow(0.5, "before")), BYTES_PER_SECOND, 0.1, 0.4, False),
        (Both(TimesBetter(3), ShareOfRow(0.5, "before")), BYTES_PER_SECOND, 0.2, 0.5, False),
        (Both(TimesBetter(3), ShareOfRow(0.5, "elsewhere")), BYTES_PER_SECOND, 0.1, 0.2, False),
    ],
)
def test_target_is_judged(target: Target, unit: Unit, baseline: float, ours: float, is_met: bool) -> None:
    before = {"before": result({"interproc": [1.0]}, unit, key="before")}
    some = result({"multiprocessing": [baseline], "interproc": [ours]}, unit, target)
    assert target.is_met(some, before) is is_met


@pytest.mark.parametrize(
    "target",
    [
        TimesBetter(3),
        TimesTheTime(1.3),
        AtMost(0.01, CORE_SHARE),
        LikeRow(1.25, "x"),
        ShareOfRow(0.5, "x"),
        Both(TimesBetter(3), ShareOfRow(0.5, "x")),
    ],
)
def test_no_verdict_without_a_figure(target: Target) -> None:
    nothing: RowResult = result({})
    assert target.is_met(nothing, {}) is None
    assert target.text


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (1_234_567.0, MESSAGES_PER_SECOND, "1.23 M/s"),
        (999_999.0, MESSAGES_PER_SECOND, "1 M/s"),
        (123.0, MESSAGES_PER_SECOND, "123 /s"),
        (12.3e9, BYTES_PER_SECOND, "12.3 GB/s"),
        (0.000_012_34, SECONDS, "12.3 µs"),
        (0.000_000_12, SECONDS, "120 ns"),
        (0.0, SECONDS, "0 ns"),
        (0.005, CORE_SHARE, "0.50%"),
    ],
)
def test_figure_is_written_with_a_prefix(value: float, unit: Unit, text: str) -> None:
    assert unit.text(value) == text
