"""The command that kills at other libraries' queues: ours outlive it, and what it says can be repeated."""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def test_our_queues_go_on_after_every_kill() -> None:
    command = [sys.executable, "-m", "tests.crash.peers", "--seed", "7", "--rounds", "1", "--kills", "10"]
    for name in ("interproc.Queue", "interproc.SimpleQueue"):
        ended = subprocess.run([*command, "--only", name], cwd=ROOT, capture_output=True, text=True, check=False)
        assert ended.returncode == 0, ended.stdout + ended.stderr
        assert "seeds 7 to 7" in ended.stdout
        assert f"{name:<28} goes on after 10 kills" in ended.stdout
