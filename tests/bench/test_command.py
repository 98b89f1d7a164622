"""`interproc bench`."""

import json
from pathlib import Path

import pytest

from interproc.bench.rows import ROWS
from interproc.bench.selection import select
from interproc.bench.sweeps import SWEEPS
from interproc.cli.bench import main


def test_quick_row_is_measured_printed_and_written(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "results.json"
    assert main(["--quick", "--rounds", "1", "--rows", "put-get-simple", "--json", str(path)]) == 0
    (row,) = json.loads(path.read_text())["rows"]
    assert row["peers"]["multiprocessing"]["status"] == "measured"
    assert row["peers"]["interproc"]["status"] == "measured"
    assert "put-get-simple" in capsys.readouterr().out


def test_list_names_every_row_and_sweep(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--list"]) == 0
    listed = [line.split()[0] for line in capsys.readouterr().out.splitlines()]
    assert listed == [row.key for row in ROWS] + [sweep.key for sweep in SWEEPS]


def test_pattern_without_a_row_is_bad_usage(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--rows", "nothing-like-this"]) == 2
    assert "nothing-like-this" in capsys.readouterr().err


@pytest.mark.parametrize("text", ["0", "-1", "many"])
def test_rounds_must_be_a_positive_number(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exit:
        main(["--rounds", text])
    assert exit.value.code == 2
    assert "--rounds" in capsys.readouterr().err


@pytest.mark.parametrize(("option", "name"), [("--json", "."), ("--plots", __file__)])
def test_unfit_output_is_refused_before_measuring(option: str, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as exit:
        main([option, name])
    assert exit.value.code == 2
    assert option in capsys.readouterr().err


@pytest.mark.parametrize(
    ("pattern", "keys"),
    [
        ("growth", ["growth-1m", "growth-10m"]),
        ("import", ["import"]),
        ("*-one-core,idle", ["pipe-one-core", "queue-one-core", "manager-one-core", "idle-64"]),
        ("put-get*", ["put-get", "put-get-simple"]),
    ],
)
def test_pattern_selects_rows(pattern: str, keys: list[str]) -> None:
    assert [row.key for row in select(ROWS, pattern)] == keys


def test_keys_are_unique() -> None:
    keys = [row.key for row in ROWS] + [row.key for sweep in SWEEPS for _, row in sweep.points]
    assert len(set(keys)) == len(keys)
