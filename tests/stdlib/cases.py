"""The classes of `test._test_multiprocessing` for one start method, under a name that children can import."""

import importlib
import os

from tests.stdlib.interpreter import METHOD_VARIABLE

importlib.import_module("test._test_multiprocessing").install_tests_in_module_dict(
    globals(), os.environ[METHOD_VARIABLE]
)
