"""Pickling what has no name to be found by: lambdas, closures, local classes, what was typed at a prompt.

A module of its own, so that cloudpickle is imported only where it is needed.
"""

import io
from collections import ChainMap
from collections.abc import Callable, Mapping
from typing import Any

import cloudpickle

from interproc.codec import main_module
from interproc.codec.reducers import merge_reducers

# cloudpickle would send copies of these: a file's text, a view's bytes. They stay what pickle refuses.
_NOT_COPIED = (io.TextIOWrapper, memoryview)


class ValuePickler(cloudpickle.CloudPickler):  # type: ignore[misc]  # cloudpickle has no types
    """cloudpickle's pickler, with the registered reducers, and by name whatever the receiver finds by name."""

    def __init__(self, *args: Any, reducers: Mapping[type, Callable[[Any], Any]] = {}, **kwargs: Any) -> None:
        table: Any = cloudpickle.CloudPickler.dispatch_table
        by_value = {kind: reduce for kind, reduce in table.items() if kind not in _NOT_COPIED}
        # The C pickler reads it once, while initialised.
        self.dispatch_table = ChainMap({**merge_reducers(), **reducers}, by_value)
        super().__init__(*args, **kwargs)

    def reducer_override(self, obj: Any) -> Any:
        """Leaves functions and classes of an importable `__main__` to be named; cloudpickle would copy them."""
        if main_module.defines(obj) and main_module.exports(obj):
            return NotImplemented
        return super().reducer_override(obj)
