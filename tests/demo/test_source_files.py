"""Which files the demonstration reads."""

import os
from pathlib import Path

import pytest

from interproc.demo.source_files import SourceFolderError, find_source_files, read_source, standard_library


def make_files(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text("")


def test_python_files_are_found_sorted_and_at_any_depth(tmp_path: Path) -> None:
    make_files(tmp_path, "b.py", "a/z.py", "a/b/c.py", "notes.txt", "module.pyc")
    assert find_source_files(tmp_path) == [str(tmp_path / name) for name in ("a/b/c.py", "a/z.py", "b.py")]


def test_installed_packages_and_hidden_folders_are_left_out(tmp_path: Path) -> None:
    make_files(tmp_path, "a.py", "site-packages/b.py", "lib/dist-packages/c.py", ".venv/d.py", "__pycache__/e.py")
    assert find_source_files(tmp_path) == [str(tmp_path / "a.py")]


def test_folder_of_installed_packages_is_read_when_it_is_asked_for(tmp_path: Path) -> None:
    make_files(tmp_path, "site-packages/b.py")
    assert find_source_files(tmp_path / "site-packages") == [str(tmp_path / "site-packages/b.py")]


def test_link_to_the_own_folder_is_not_followed(tmp_path: Path) -> None:
    make_files(tmp_path, "a.py")
    (tmp_path / "again").symlink_to(tmp_path)
    assert find_source_files(tmp_path) == [str(tmp_path / "a.py")]


def test_standard_library_has_a_thousand_files() -> None:
    assert len(find_source_files(standard_library())) > 1000


def test_missing_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SourceFolderError, match="No such file or directory"):
        find_source_files(tmp_path / "missing")


def test_file_instead_of_a_folder_is_refused(tmp_path: Path) -> None:
    make_files(tmp_path, "a.py")
    with pytest.raises(SourceFolderError, match="Not a directory"):
        find_source_files(tmp_path / "a.py")


def test_folder_without_python_files_is_refused(tmp_path: Path) -> None:
    make_files(tmp_path, "notes.txt")
    with pytest.raises(SourceFolderError, match="no Python files"):
        find_source_files(tmp_path)


def test_named_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.py")
    with pytest.raises(OSError, match="Not a regular file"):
        read_source(str(tmp_path / "a.py"))
