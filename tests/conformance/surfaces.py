"""What a module offers to programs, and how two such offers differ."""

import inspect
from collections.abc import Callable, Iterator
from inspect import Parameter
from types import MethodType, ModuleType
from typing import Any

MODULES = (
    "",
    "connection",
    "context",
    "dummy",
    "dummy.connection",
    "forkserver",
    "heap",
    "managers",
    "pool",
    "popen_fork",
    "popen_forkserver",
    "popen_spawn_posix",
    "process",
    "queues",
    "reduction",
    "resource_sharer",
    "resource_tracker",
    "shared_memory",
    "sharedctypes",
    "spawn",
    "synchronize",
    "util",
)
DATA = (bool, int, float, str, bytes, tuple, list, dict, frozenset)

# What Python itself puts into every class and calls by itself, and how a class is pickled or dies.
NOT_COMPARED = frozenset(
    f"__{name}__"
    for name in (
        *("abstractmethods", "annotations", "annotations_cache", "del", "dict", "doc", "exit", "firstlineno"),
        *("getstate", "init", "module", "new", "orig_bases", "parameters", "qualname", "reduce", "reduce_ex"),
        *("setstate", "static_attributes", "weakref"),
    )
)


def surface(module: ModuleType) -> dict[str, Any]:
    """The names that a module defines for others, by themselves or through `__all__`."""
    listed = set(getattr(module, "__all__", ()))
    return {
        name: value
        for name, value in vars(module).items()
        if not isinstance(value, ModuleType)
        and (name in listed or (not name.startswith("_") and _is_defined_in(module, value)))
    }


def _is_defined_in(module: ModuleType, value: Any) -> bool:
    if isinstance(value, MethodType):
        return value.__func__.__module__ == module.__name__
    if inspect.isclass(value) or inspect.isroutine(value):
        return getattr(value, "__module__", None) == module.__name__
    return isinstance(value, DATA)


def members(kind: type) -> dict[str, Any]:
    """The public names of a class, and the operations that it defines beyond those of every object."""
    found: dict[str, Any] = {}
    for base in reversed(kind.__mro__[:-1]):
        for name, value in vars(base).items():
            if (name.startswith("__") and name.endswith("__") and name not in NOT_COMPARED) or not name.startswith("_"):
                found[name] = value
    return found


def call_differences(standard: Callable[..., Any], ours: Callable[..., Any]) -> Iterator[str]:
    """What a call that the standard library takes could stumble over here.

    A standard signature of nothing but `*args, **kwargs` hides that of something else, and says nothing.
    """
    try:
        wanted, offered = (_parameters(call) for call in (standard, ours))
    except ValueError:  # of C, and says nothing about itself
        return
    kinds = [parameter.kind for parameter in wanted]
    if kinds == [Parameter.VAR_POSITIONAL, Parameter.VAR_KEYWORD]:
        return
    by_name = {parameter.name: (index, parameter) for index, parameter in enumerate(offered)}
    for index, parameter in enumerate(wanted):
        if parameter.name not in by_name:
            yield f"'{parameter.name}' is missing"
            continue
        place, counterpart = by_name.pop(parameter.name)
        if parameter.kind is not counterpart.kind and counterpart.kind is not Parameter.POSITIONAL_OR_KEYWORD:
            yield f"'{parameter.name}' is {counterpart.kind.description}, not {parameter.kind.description}"
        elif parameter.kind is not Parameter.KEYWORD_ONLY and place != index:
            yield f"'{parameter.name}' is at place {place}, not {index}"
        if parameter.default is not Parameter.empty and parameter.default != counterpart.default:
            yield f"'{parameter.name}' is {counterpart.default!r} by default, not {parameter.default!r}"
    for _, parameter in by_name.values():
        if parameter.default is Parameter.empty and not parameter.kind.name.startswith("VAR_"):
            yield f"'{parameter.name}' is added and has no default"


def _parameters(call: Callable[..., Any]) -> list[Parameter]:
    """The parameters that a caller may name; those which take the rest have any name, so they get the same."""
    parameters = inspect.signature(call).parameters.values()
    return [
        parameter.replace(name=parameter.kind.name) if parameter.kind.name.startswith("VAR_") else parameter
        for parameter in parameters
        if parameter.name != "self" and not parameter.name.startswith("_")
    ]


def data_differ(standard: Any, ours: Any) -> bool:
    """Whether constants have different values, or tables different keys."""
    if isinstance(standard, dict):
        return not isinstance(ours, dict) or not standard.keys() <= ours.keys()
    return bool(standard != ours)


def is_silent(value: Any) -> bool:
    """Whether something of ours says nothing about itself; what is the standard library's speaks for itself."""
    function = getattr(value, "fget", None) or getattr(value, "__func__", value)
    module = getattr(function, "__module__", None) or ""
    is_native = inspect.ismethoddescriptor(value) or inspect.isgetsetdescriptor(value)
    if not module.startswith("interproc") and not is_native:
        return False
    return callable(function) and not (getattr(value, "__doc__", "") or getattr(function, "__doc__", ""))
