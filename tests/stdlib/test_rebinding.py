"""Test code gets interproc, in parents and in children, and the standard library nowhere that interproc is."""

import importlib
import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.stdlib.catalog import BODIES, absent_parts
from tests.stdlib.interpreter import METHOD_VARIABLE, make_interpreter
from tests.stdlib.rebinding import LENT, OURS, STANDARD, is_ours
from tests.stdlib.suite import METHODS

SECONDS = 50
SCRIPT = """\
import json
import pickle
import sys
import multiprocessing
import multiprocessing.connection
import multiprocessing.resource_tracker
from multiprocessing import process, queues
from multiprocessing.connection import Pipe


def bindings():
    found = [multiprocessing, multiprocessing.connection, multiprocessing.resource_tracker, process, queues]
    classes = [multiprocessing.get_context(method).Process for method in ("fork", "spawn", "forkserver")]
    return [module.__name__ for module in found] + [one.__module__ for one in (*classes, Pipe)]


def child(connection):
    assert pickle.loads(pickle.dumps(multiprocessing.ProcessError)) is multiprocessing.ProcessError
    connection.send([__name__, *bindings()])


if __name__ == "__main__":
    context = multiprocessing.get_context(sys.argv[1])
    reader, writer = Pipe(False)
    started = context.Process(target=child, args=(writer,))
    started.start()
    print(json.dumps([bindings(), reader.recv()]))
    started.join()
"""
BINDINGS = [
    "interproc",
    "interproc.connection",
    f"{OURS if is_ours('resource_tracker') else STANDARD}.resource_tracker",
    "interproc.process",
    "interproc.queues",
    *["interproc.context"] * 3,
    "interproc.connection",
]
MODULES = """\
import importlib, json, sys
module = importlib.import_module(sys.argv[1])
found = [value for value in vars(module).values() if isinstance(value, type(sys))]
print(json.dumps(sorted(one.__name__ for one in found if one.__name__.startswith(("multiprocessing", "interproc")))))
"""

needs_suite = pytest.mark.skipif(BODIES in absent_parts(), reason=f"this Python was installed without {BODIES}")


@pytest.fixture(scope="module")
def python() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="suite-") as folder:
        yield make_interpreter(Path(folder))


def run(python: Path, *arguments: object) -> list[object]:
    """What the suite's interpreter prints, read as JSON."""
    command = [str(python), *map(str, arguments)]
    environment = {METHOD_VARIABLE: "fork"}
    done = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS, check=False, env=environment)
    assert (done.returncode, done.stderr) == (0, "")
    printed: list[object] = json.loads(done.stdout)
    return printed


@pytest.mark.parametrize("flags", [(), ("-E",), ("-I",)])
@pytest.mark.parametrize("method", METHODS)
def test_scripts_and_their_children_get_interproc(
    python: Path, tmp_path: Path, method: str, flags: tuple[str, ...]
) -> None:
    script = tmp_path / "script.py"
    script.write_text(SCRIPT)
    child = "__main__" if method == "fork" else "__mp_main__"
    assert run(python, *flags, script, method) == [BINDINGS, [child, *BINDINGS]]


@needs_suite
def test_suite_sees_no_module_that_interproc_has(python: Path) -> None:
    found = [str(name) for name in run(python, "-c", MODULES, BODIES)]
    assert "interproc" in found
    theirs = [name.partition(".")[2] for name in found if name.startswith("multiprocessing")]
    assert theirs == [name for name in theirs if name and not is_ours(name)]


def test_lent_names_are_missing_in_interproc() -> None:
    lent = [(part, name) for part, names in LENT.items() for name in names]
    assert [name for part, name in lent if hasattr(importlib.import_module(f"interproc.{part}"), name)] == []


@needs_suite
def test_one_class_alone_starts_interpreters_without_site() -> None:
    # Those would test the standard library unseen; differences.toml leaves the class out.
    source = Path(importlib.import_module("test").__path__[0], f"{BODIES.rpartition('.')[2]}.py").read_text()
    before, found, after = source.partition("'-S'")
    assert found
    assert "'-S'" not in after
    assert re.findall(r"^class (\w+)", before, re.MULTILINE)[-1] == "TestFlags"


def test_nothing_is_rebound_here() -> None:
    import multiprocessing

    assert multiprocessing.__name__ == "multiprocessing"
    assert "tests.stdlib.cases" not in sys.modules
