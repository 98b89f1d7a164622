"""The classes of `test._test_multiprocessing` for one start method, under a name that children can import."""

import importlib
import os

from tests.stdlib.interpreter import METHOD_VARIABLE

_bodies = importlib.import_module("test._test_multiprocessing")
# As CPython's own modules in the place of this one have themselves imported by the fork server, once for all children.
_bodies.PRELOAD.append(__name__)
_bodies.install_tests_in_module_dict(globals(), os.environ[METHOD_VARIABLE])
