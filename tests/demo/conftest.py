"""A small folder to index, and the modules that can carry the pipeline."""

import multiprocessing
from pathlib import Path
from typing import Any

import pytest

import interproc

START_METHODS = ("fork", "spawn", "forkserver")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A few modules, one that does not parse, one whose name is no text, and one that cannot be read."""
    for number in range(20):
        lines = [
            f"import package{number % 3}",
            "def function(argument):",
            "    '''Text.'''",
            "    return argument.name",
        ]
        (tmp_path / f"module{number}.py").write_text("\n".join(lines * (number + 1)))
    (tmp_path / "broken.py").write_text("def")
    (tmp_path / "not utf-8: \udcff.py").write_text("a = b")
    (tmp_path / "dangling.py").symlink_to(tmp_path / "nowhere")
    return tmp_path


@pytest.fixture(params=[multiprocessing, interproc], ids=["multiprocessing", "interproc"])
def module(request: pytest.FixtureRequest) -> Any:
    """The module that carries the pipeline."""
    return request.param


@pytest.fixture(params=START_METHODS)
def start_method(request: pytest.FixtureRequest) -> Any:
    """How its processes are started."""
    return request.param
