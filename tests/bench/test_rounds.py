"""Rounds are interleaved, and a peer that fails takes nobody with it."""

from dataclasses import replace

import pytest

from interproc.bench.rounds import Bench, Entrant
from interproc.bench.rows import Fixed, Restriction, Row
from interproc.bench.trial import FailedError, HungError
from tests.bench.fakes import PLAN, FakeExperiment, FakePeer, FakeRunner, entrants

ROW = Row("some", "some work", FakeExperiment(), fixed=Fixed(100, 10))


def test_rounds_are_interleaved() -> None:
    runner = FakeRunner({"a": 1.0, "b": 2.0, "c": 3.0})
    Bench(entrants("a", "b", "c"), PLAN, run=runner).measure(ROW)
    assert [name for name, _ in runner.trials] == ["a", "b", "c"] * 3


def test_every_round_is_kept() -> None:
    result = Bench(entrants("a", "b"), PLAN, run=FakeRunner({"a": 1.0, "b": 2.0})).measure(ROW)
    assert {name: cell.values for name, cell in result.cells.items()} == {"a": (1.0,) * 3, "b": (2.0,) * 3}


@pytest.mark.parametrize(
    ("error", "status"), [(HungError("killed after 5 s"), "hung"), (FailedError("ValueError: no"), "failed")]
)
def test_peer_in_trouble_is_reported_and_the_others_go_on(error: Exception, status: str) -> None:
    runner = FakeRunner({"a": 1.0, "b": error, "c": 3.0})
    result = Bench(entrants("a", "b", "c"), PLAN, run=runner).measure(ROW)
    assert (result.cells["b"].status, result.cells["b"].reason) == (status, str(error))
    assert result.cells["b"].median is None
    assert [name for name, _ in runner.trials] == ["a", "b", "c", "a", "c", "a", "c"]


def test_peer_in_trouble_while_its_count_is_found_is_out() -> None:
    runner = FakeRunner({"a": 100.0, "b": HungError("killed after 5 s")})
    result = Bench(entrants("a", "b"), PLAN, run=runner).measure(replace(ROW, fixed=None))
    assert result.cells["b"].status == "hung"
    assert [name for name, _ in runner.trials].count("b") == 1


@pytest.mark.parametrize("rate", [1.0, 50.0, 1e6])
def test_count_is_found_so_that_a_round_takes_its_time(rate: float) -> None:
    runner = FakeRunner({"a": rate})
    Bench(entrants("a"), PLAN, run=runner).measure(replace(ROW, fixed=None))
    counts = [count for _, count in runner.trials]
    assert counts[0] == ROW.experiment.first_count
    assert counts[-PLAN.rounds :] == [rate * PLAN.round_s] * PLAN.rounds


def test_count_is_not_taken_from_trials_that_are_all_overhead() -> None:
    runner = FakeRunner({"a": 1e6}, overhead_s=PLAN.round_s / 2)
    Bench(entrants("a"), PLAN, run=runner).measure(replace(ROW, fixed=None))
    _, count = runner.trials[-1]
    assert count / 1e6 > PLAN.round_s / 4


def test_quick_plan_takes_the_quick_count() -> None:
    runner = FakeRunner({"a": 1.0})
    plan = replace(PLAN, quick=True)
    Bench(entrants("a"), plan, run=runner).measure(ROW)
    assert runner.trials == [("a", 10)] * 3


def test_fixed_rows_have_few_rounds() -> None:
    runner = FakeRunner({"a": 1.0})
    Bench(entrants("a"), replace(PLAN, rounds=9), run=runner).measure(replace(ROW, fixed=Fixed(100, 10, most_rounds=2)))
    assert runner.trials == [("a", 100)] * 2


def test_absent_peers_are_named_with_the_reason() -> None:
    present = Entrant(FakePeer("present"), "1.0")
    absent = Entrant(FakePeer("absent"), None)
    bench = Bench([present, absent], PLAN, run=FakeRunner({"present": 1.0}))
    cell = bench.measure(ROW).cells["absent"]
    assert (cell.status, cell.reason) == ("missing", "pip install absent")


def test_what_a_peer_does_not_offer_is_said() -> None:
    row = replace(ROW, experiment=FakeExperiment(needs="pipe"))
    cell = Bench(entrants("a"), PLAN, run=FakeRunner({})).measure(row).cells["a"]
    assert (cell.status, cell.reason) == ("not offered", "has no pipe")


def test_who_is_left_out_is_said() -> None:
    row = replace(ROW, restriction=Restriction(frozenset({"a"}), "takes minutes"))
    cells = Bench(entrants("a", "b"), PLAN, run=FakeRunner({"a": 1.0})).measure(row).cells
    assert (cells["a"].status, cells["b"].status, cells["b"].reason) == ("measured", "left out", "takes minutes")


def test_notice_tells_row_peer_and_round() -> None:
    heard: list[str] = []
    Bench(entrants("a"), PLAN, heard.append, FakeRunner({"a": 1.0})).measure(ROW)
    assert heard == [f"some work · a · round {number} of 3" for number in (1, 2, 3)]
