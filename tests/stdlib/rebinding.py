"""What `import multiprocessing` means in CPython's tests: interproc.

Every interpreter of the suite (see `tests.stdlib.interpreter`) installs this at its start, so it holds in parents, in
children of every start method and in the scripts that tests run. Only test code is served: the standard library's and
interproc's own imports stay what they are.

A module that interproc has is always interproc's. One that it has not (`resource_tracker`, `spawn` ...) is the standard
library's, because nothing else answers to that name; so are the private names in `LENT`, which fixtures look at.
"""

import builtins
import importlib
import sys
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from types import ModuleType

STANDARD = "multiprocessing"
OURS = "interproc"
SCRIPTS = {"__main__", "__mp_main__"}
# What the commands import that the standard library itself starts children and helpers with. Programs that use
# interproc have them as they are.
LAUNCHERS = {("main",), ("spawn_main",)}

# Private names of the standard library that the tests use around what they test, where interproc inherits the state
# behind them and has no such name of its own.
LENT = {
    "process": ("_cleanup", "_dangling"),
    "util": ("_afterfork_registry", "_cleanup_tests", "_exit_function", "_finalizer_registry", "_run_finalizers"),
}

_import = builtins.__import__


def install() -> None:
    """Rebinds the imports of test code in this process."""
    builtins.__import__ = rebound_import


def rebound_import(
    name: str,
    globals: Mapping[str, object] | None = None,
    locals: Mapping[str, object] | None = None,
    fromlist: Sequence[str] | None = (),
    level: int = 0,
) -> ModuleType:
    """Stands in for `__import__`."""
    module = _import(name, globals, locals, fromlist or (), level)
    if level or name.partition(".")[0] != STANDARD or not is_test_code(globals) or tuple(fromlist or ()) in LAUNCHERS:
        return module
    wanted = [name.partition(".")[2]] if "." in name else [part for part in fromlist or () if _is_module(part)]
    if "." in name and fromlist and not is_ours(wanted[0]):
        return module
    package = importlib.import_module(OURS)
    for part in wanted:
        # As after any import of a submodule, the package has it as an attribute.
        if is_ours(part):
            importlib.import_module(f"{OURS}.{part}")
        else:
            setattr(package, part.partition(".")[0], sys.modules[f"{STANDARD}.{part.partition('.')[0]}"])
    _lend()
    return sys.modules[f"{OURS}.{wanted[0]}"] if "." in name and fromlist else package


def is_test_code(globals: Mapping[str, object] | None) -> bool:
    """Whether a module with these globals belongs to CPython's tests, or is a script or a command."""
    name = str((globals or {}).get("__name__", ""))
    return name in SCRIPTS or name.partition(".")[0] == "test"


def is_ours(part: str) -> bool:
    """Whether interproc has a module of this name; looks without importing anything of it."""
    spec = find_spec(OURS)
    assert spec is not None and spec.submodule_search_locations, f"{OURS} is not installed here"
    paths = [Path(folder, *part.split(".")) for folder in spec.submodule_search_locations]
    return any(path.with_suffix(".py").exists() or (path / "__init__.py").exists() for path in paths)


def _is_module(part: str) -> bool:
    return f"{STANDARD}.{part}" in sys.modules


def _lend() -> None:
    for part, names in LENT.items():
        ours = sys.modules.get(f"{OURS}.{part}")
        for name in names:
            if ours is not None and not hasattr(ours, name):
                setattr(ours, name, getattr(sys.modules[f"{STANDARD}.{part}"], name))
