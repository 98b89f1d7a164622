"""The test classes of CPython's suite that concern a start method. Only the suite's interpreter looks into them."""

import importlib
import pkgutil
import unittest
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from importlib.util import find_spec
from types import ModuleType

BODIES = "test._test_multiprocessing"
MAIN_HANDLING = "test.test_multiprocessing_main_handling"
EXECUTORS = "test.test_concurrent_futures"
PARTS = (BODIES, MAIN_HANDLING, EXECUTORS)

Catalog = dict[str, dict[str, unittest.TestCase]]


def absent_parts() -> list[str]:
    """The modules that this interpreter was installed without."""
    return [name for name in PARTS if not _is_installed(name)]


def _is_installed(name: str) -> bool:
    try:
        return find_spec(name) is not None
    except ModuleNotFoundError:  # no package above it
        return False


def catalog(method: str) -> Catalog:
    """The classes for a start method by name, each with its tests by name."""
    absent = absent_parts()
    found: Catalog = {}
    if BODIES not in absent:
        for case in _cases_in(importlib.import_module("tests.stdlib.cases")):
            found[case.__name__] = _tests(case)
    if MAIN_HANDLING not in absent:
        for case in _cases_in(importlib.import_module(MAIN_HANDLING)):
            if getattr(case, "start_method", None) == method:
                found[case.__name__] = _tests(case)
    if EXECUTORS not in absent:
        for module in _with_submodules(EXECUTORS):
            for case in _cases_in(module):
                if _is_of_process_pool(case, method):
                    found[case.__name__] = _tests(case)
                elif case.__name__ == "FailingInitializerResourcesTest":
                    found[case.__name__] = _tests(case, f"test_{method}")
    return {name: tests for name, tests in sorted(found.items()) if tests}


def _cases_in(module: ModuleType) -> Iterator[type[unittest.TestCase]]:
    for value in vars(module).values():
        if isinstance(value, type) and issubclass(value, unittest.TestCase) and value.__module__ == module.__name__:
            yield value


def _with_submodules(name: str) -> Iterator[ModuleType]:
    module = importlib.import_module(name)
    yield module
    for info in pkgutil.iter_modules(getattr(module, "__path__", ())):
        yield importlib.import_module(f"{name}.{info.name}")


def _is_of_process_pool(case: type[unittest.TestCase], method: str) -> bool:
    return getattr(case, "executor_type", None) is ProcessPoolExecutor and getattr(case, "ctx", None) == method


def _tests(case: type[unittest.TestCase], only: str | None = None) -> dict[str, unittest.TestCase]:
    names = unittest.TestLoader().getTestCaseNames(case)
    return {name: case(name) for name in names if only in {None, name}}
