"""Objects to pickles, the fast way first: by name, then by value, then an error that says what is in the way."""

from __future__ import annotations

import io
import pickle
from collections.abc import Callable, Mapping

from interproc import _core
from interproc.codec import main_module
from interproc.codec.reducers import merge_reducers
from interproc.errors import UnsendableError

TYPE_CHECKING = False  # without importing typing: see ARCHITECTURE.md on import time
if TYPE_CHECKING:
    from typing import Any, NoReturn, Protocol

    class Sink(Protocol):
        """Where a pickler leaves its output."""

        def write(self, data: bytes, /) -> Any: ...
        def add_buffer(self, buffer: pickle.PickleBuffer, /) -> Any: ...

    Reducer = Callable[[Any], Any]


PROTOCOL = 5
OUT_OF_BAND_BYTES = 8 * 1024

# What pickling raises when it finds no way, not when a user's __reduce__ fails for a reason of its own.
_NO_WAY = (pickle.PicklingError, TypeError, AttributeError)


class _PromptPickler(pickle.Pickler):
    """The fast pickler of a program whose `__main__` nobody can import: refuses what has to go by value."""

    def reducer_override(self, obj: Any) -> Any:
        if main_module.defines(obj) and main_module.goes_by_value():
            raise pickle.PicklingError(f"a started process cannot import {obj!r} from __main__")
        return NotImplemented


class _Nowhere:
    """Takes the output of a trial."""

    def write(self, data: object) -> None: ...


def new_pickler(sink: Sink) -> pickle.Pickler:
    """Returns a pickler to be used many times; the caller keeps its `dispatch_table` in step with the reducers."""
    kind = pickle.Pickler if main_module.can_be_imported() else _PromptPickler
    return kind(sink, PROTOCOL, buffer_callback=sink.add_buffer)


def encode_by_value(
    obj: object, error: BaseException, least_bytes: int = OUT_OF_BAND_BYTES, reducers: Mapping[type, Reducer] = {}
) -> tuple[bytes, list[pickle.PickleBuffer]]:
    """Pickles what the fast way could not.

    Args:
        obj: The object to send.
        error: What the fast way raised.
        least_bytes: From this size on a buffer stays beside the pickle.
        reducers: What comes before the registered ones.

    Returns:
        The pickle, and the buffers to send beside it.

    Raises:
        UnsendableError: There is no way; names the part that is to blame.
        BaseException: `error`, if user code raised it for a reason of its own.
    """
    if not isinstance(error, _NO_WAY):
        _raise_with_path(error, {"obj": obj})
    buffers: list[pickle.PickleBuffer] = []

    def keep_in_band(buffer: pickle.PickleBuffer) -> bool:
        with memoryview(buffer) as view:
            is_lent = isinstance(view.obj, _core.LentBuffer) or isinstance(
                getattr(view.obj, "base", None), _core.LentBuffer
            )
            if not view.contiguous or (view.nbytes < least_bytes and not is_lent):
                return True
        buffers.append(buffer)
        return False

    try:
        return _dumps_by_value(obj, keep_in_band, reducers), buffers
    except Exception as failure:
        _raise_with_path(failure, {"obj": obj})


def dumps(obj: object, names: Mapping[str, object]) -> bytes:
    """Pickles an object in one piece, by value where necessary.

    Args:
        obj: The object.
        names: Its parts, by the names that an error shall use.

    Raises:
        UnsendableError: There is no way; names the part that is to blame.
    """
    stream = io.BytesIO()
    kind = pickle.Pickler if main_module.can_be_imported() else _PromptPickler
    pickler = kind(stream, PROTOCOL)
    pickler.dispatch_table = merge_reducers()
    try:
        pickler.dump(obj)
    except _NO_WAY:
        try:
            return _dumps_by_value(obj)
        except Exception as failure:
            _raise_with_path(failure, names)
    except Exception as failure:
        _raise_with_path(failure, names)
    return stream.getvalue()


def _dumps_by_value(
    obj: object,
    buffer_callback: Callable[[pickle.PickleBuffer], Any] | None = None,
    reducers: Mapping[type, Reducer] = {},
) -> bytes:
    stream = io.BytesIO()
    _value_pickler(stream, buffer_callback, reducers).dump(obj)
    return stream.getvalue()


def _value_pickler(
    stream: Any,
    buffer_callback: Callable[[pickle.PickleBuffer], Any] | None = None,
    reducers: Mapping[type, Reducer] = {},
) -> pickle.Pickler:
    from interproc.codec.by_value import ValuePickler

    pickler: pickle.Pickler = ValuePickler(stream, PROTOCOL, buffer_callback=buffer_callback, reducers=reducers)
    return pickler


def _raise_with_path(error: BaseException, names: Mapping[str, object]) -> NoReturn:
    """Raises an UnsendableError for what has no way, else the error itself; both say where the culprit lies."""
    if not isinstance(error, Exception) or isinstance(error, (RecursionError, MemoryError)):
        raise error
    from interproc.codec.culprit import find_culprit  # only after a failure

    culprit = find_culprit(names, lambda part: _value_pickler(_Nowhere()).dump(part))
    path = " and ".join(names) if culprit is None else culprit.path
    if not isinstance(error, _NO_WAY):
        error.add_note(f"while pickling {path}")
        raise error
    failure = error if culprit is None else culprit.error
    cause = str(failure) or repr(failure)
    raise UnsendableError(
        f"{path} cannot be sent to another process: {cause}. Send what it is made from instead, or give its class a"
        " __reduce__ method",
        path,
    ) from error
