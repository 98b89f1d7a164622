"""`interproc demo` as a user meets it: output, one-line errors, exit codes."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from interproc.cli import main

BAD_USAGE = 2
COMMAND = (sys.executable, "-m", "interproc", "demo")


def run(*arguments: str, **options: str) -> subprocess.CompletedProcess[str]:
    """Runs the command with a terminal of 100 columns."""
    environment = {**os.environ, "COLUMNS": "100", **options}
    return subprocess.run([*COMMAND, *arguments], capture_output=True, text=True, env=environment, check=False)


def test_comparison_is_shown(folder: Path) -> None:
    done = run(str(folder), "--workers", "2")
    assert done.returncode == 0, done.stderr
    for text in ("23 Python files below", "2 workers", "All 4 results are equal", "multiprocessing", "1.00x"):
        assert text in done.stdout
    assert "dangling.py: No such file or directory" in done.stdout
    assert "broken.py: invalid syntax, line 1" in done.stdout
    assert "interproc batched" in done.stderr


def test_json_names_every_problem(folder: Path, tmp_path: Path) -> None:
    report = tmp_path / "report.json"
    assert run(str(folder), "--only", "interproc", "--json", str(report)).returncode == 0
    document = json.loads(report.read_text())
    assert set(document["problems"]) == {str(folder / "broken.py"), str(folder / "dangling.py")}
    assert [entry["program"] for entry in document["runs"]] == ["interproc"]


def test_strange_names_are_shown_in_any_encoding(folder: Path) -> None:
    (folder / "[red]\x1b[31m\udcff€.py").write_text("def")
    done = run(str(folder), "--only", "serial", PYTHONIOENCODING="ascii")
    assert done.returncode == 0, done.stderr
    assert r"[red]\x1b[31m\udcff\u20ac.py: invalid syntax" in done.stdout


@pytest.mark.parametrize("name", ["missing", "file.py", "empty"])
def test_folder_that_cannot_be_read_takes_one_line(
    tmp_path: Path, name: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "file.py").write_text("")
    (tmp_path / "empty").mkdir()
    assert main(["demo", str(tmp_path / name)]) == BAD_USAGE
    shown = capsys.readouterr()
    assert shown.out == ""
    assert shown.err.startswith(f"interproc demo: {tmp_path / name}: ")
    assert shown.err.count("\n") == 1


@pytest.mark.parametrize(
    "arguments",
    [["--workers", "0"], ["--workers", "many"], ["--start-method", "none"], ["--json", "/nowhere/file"], ["a", "b"]],
)
def test_wrong_argument_is_refused(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ending:
        main(["demo", *arguments])
    assert ending.value.code == BAD_USAGE
    assert "interproc demo: error: " in capsys.readouterr().err


def test_missing_extra_is_named() -> None:
    program = "import sys; sys.modules['rich'] = None; from interproc.cli import main; sys.exit(main(['demo']))"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == BAD_USAGE
    assert done.stderr == "interproc demo needs rich: pip install 'interproc[cli]'\n"


@pytest.mark.parametrize(
    ("signal_number", "last_line"), [(signal.SIGINT, "interproc: interrupted\n"), (signal.SIGTERM, "")]
)
@pytest.mark.parametrize("program", ["serial", "multiprocessing", "interproc"])
def test_signal_ends_the_command_and_its_workers(signal_number: signal.Signals, last_line: str, program: str) -> None:
    with subprocess.Popen(
        [*COMMAND, "--only", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, process_group=0
    ) as process:
        assert process.stdout is not None and process.stderr is not None
        process.stdout.readline()
        process.stdout.readline()
        os.killpg(process.pid, signal_number)
        errors = process.stderr.read()
    assert process.returncode == 128 + signal_number
    assert errors.endswith(last_line) and "Traceback" not in errors
    with pytest.raises(ProcessLookupError):
        os.killpg(process.pid, 0)
