"""Every public name, parameter and method of the standard library of the running Python is here and documented.

What differs on purpose stands in `allowed_differences`, with the reason.
"""

import importlib
import inspect
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import pytest

from tests.conformance.allowed_differences import ALLOWED
from tests.conformance.surfaces import DATA, MODULES, call_differences, data_differ, is_silent, members, surface


def _both(name: str) -> tuple[ModuleType, ModuleType]:
    suffix = f".{name}" if name else ""
    return importlib.import_module(f"multiprocessing{suffix}"), importlib.import_module(f"interproc{suffix}")


def _differences(module: str) -> Iterator[tuple[str, str]]:
    """What is not as in the standard library: where, and how."""
    standard, ours = _both(module)
    for name, value in surface(standard).items():
        if not hasattr(ours, name):
            yield f"{module}.{name}", "is missing"
            continue
        counterpart = getattr(ours, name)
        if counterpart is value:
            continue
        if isinstance(value, DATA):
            if data_differ(value, counterpart):
                yield f"{module}.{name}", f"is {counterpart!r}, not {value!r}"
        elif callable(value):
            for text in call_differences(value, counterpart):
                yield f"{module}.{name}", text
        if inspect.isclass(value) and inspect.isclass(counterpart):
            yield from _class_differences(f"{module}.{name}", value, counterpart)


def _class_differences(place: str, standard: type, ours: type) -> Iterator[tuple[str, str]]:
    for name, value in members(standard).items():
        if not hasattr(ours, name):
            yield f"{place}.{name}", "is missing"
            continue
        is_special = name.startswith("__")  # called by Python, which names no parameters
        if is_special or isinstance(value, property) or not callable(getattr(standard, name)):
            continue
        for text in call_differences(getattr(standard, name), getattr(ours, name)):
            yield f"{place}.{name}", text


@pytest.mark.parametrize("module", MODULES)
def test_everything_that_the_standard_module_offers_is_here(module: str) -> None:
    unexpected = [f"{place}: {text}" for place, text in _differences(module) if place not in ALLOWED]
    assert unexpected == []


@pytest.mark.parametrize("module", MODULES)
def test_no_allowed_difference_is_stale(module: str) -> None:
    standard, _ = _both(module)
    offered = surface(standard)
    mine = {place for place in ALLOWED if place.rpartition(".")[0] == module or place.startswith(f"{module}.")}
    here = {place for place in mine if place.removeprefix(f"{module}.").partition(".")[0] in offered}
    assert here - {place for place, _ in _differences(module)} == set()


@pytest.mark.parametrize("module", MODULES)
def test_everything_here_says_what_it_does(module: str) -> None:
    standard, ours = _both(module)
    assert ours.__doc__
    names = {name for name in (*surface(standard), *getattr(ours, "__all__", ())) if hasattr(ours, name)}
    silent = []
    for name in sorted(names):
        value: Any = getattr(ours, name)
        if is_silent(value):
            silent.append(name)
        if inspect.isclass(value) and value.__module__.startswith("interproc"):
            silent += [
                f"{name}.{member}" for member, of_class in members(value).items() if _says_nothing(member, of_class)
            ]
    assert silent == []


def _says_nothing(member: str, value: Any) -> bool:
    return not member.startswith("__") and is_silent(value)


@pytest.mark.parametrize("module", MODULES)
def test_listed_names_exist(module: str) -> None:
    _, ours = _both(module)
    assert [name for name in getattr(ours, "__all__", ()) if not hasattr(ours, name)] == []
    assert len(set(ours.__all__)) == len(ours.__all__)


def test_submodules_are_attributes_of_the_package_once_imported() -> None:
    _, package = _both("")
    for module in MODULES[1:]:
        _, ours = _both(module)
        found: Any = package
        for part in module.split("."):
            found = getattr(found, part)
        assert found is ours
