"""Where sockets of a program lie."""

import errno
import multiprocessing.util
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import interproc.util
from interproc import addresses
from interproc.connection import arbitrary_address


@pytest.fixture
def config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[dict[str, Any]]:
    """What this process says about its folder, with a long folder for temporary files, and as before in the end."""
    long = tmp_path / ("x" * 120)
    long.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(long))
    process: Any = interproc.current_process()
    before = process._config.get("tempdir")
    process._config["tempdir"] = None
    yield process._config
    made = process._config["tempdir"]
    process._config["tempdir"] = before
    if made is not None:
        os.rmdir(made)


def test_folder_is_short_and_the_same_for_both_packages(config: dict[str, Any]) -> None:
    path = arbitrary_address("AF_UNIX")
    assert len(path) <= addresses.MOST_PATH_BYTES
    assert os.path.dirname(path) == interproc.util.get_temp_dir() == multiprocessing.util.get_temp_dir()
    assert os.stat(os.path.dirname(path)).st_mode & 0o777 == 0o700
    assert arbitrary_address("AF_UNIX") != path


def test_too_long_a_folder_that_was_made_before_is_replaced(config: dict[str, Any], tmp_path: Path) -> None:
    long = multiprocessing.util.get_temp_dir()
    assert long.startswith(str(tmp_path))
    assert len(arbitrary_address("AF_UNIX")) <= addresses.MOST_PATH_BYTES
    assert config["tempdir"] != long


def test_no_short_folder_is_an_error_with_the_remedy(
    config: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(addresses, "_SHORT_FOLDERS", (str(tmp_path / "nowhere"),))
    with pytest.raises(OSError, match="set TMPDIR to a folder whose path has at most 75 bytes") as caught:
        arbitrary_address("AF_UNIX")
    assert caught.value.errno == errno.ENAMETOOLONG
