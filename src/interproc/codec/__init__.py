"""From objects to messages and back: what the native codec asks of Python."""

import multiprocessing
import pickle

from interproc import _core, errors
from interproc.codec import pickling, reducers

_core.install(
    Empty=errors.Empty,
    Full=errors.Full,
    NoConsumer=errors.NoConsumer,
    ShutDown=errors.ShutDown,
    LayoutMismatch=errors.LayoutMismatch,
    TimeoutError=errors.TimedOut,
    BufferTooShort=multiprocessing.BufferTooShort,
    new_pickler=pickling.new_pickler,
    encode_by_value=pickling.encode_by_value,
    merge_reducers=reducers.merge_reducers,
    loads=pickle.loads,
    dumps=pickle.dumps,
)
