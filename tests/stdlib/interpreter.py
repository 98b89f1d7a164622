"""The interpreter that runs the suite: a small environment on top of this one, in which test code is rebound.

An environment and not PYTHONPATH, because many tests start interpreters with -E or -I.
"""

import sysconfig
import venv
from pathlib import Path

from tests.house.floors import ROOT

# Tells all processes of a run the start method under test.
METHOD_VARIABLE = "INTERPROC_SUITE_METHOD"


def make_interpreter(folder: Path, rebound: bool = True) -> Path:
    """Makes the environment in an empty folder and returns its python.

    Args:
        folder: Where it goes.
        rebound: Whether test code gets interproc; without, it tests the standard library.
    """
    venv.EnvBuilder(symlinks=True).create(folder)
    version = sysconfig.get_python_version()
    site_packages = folder / "lib" / f"python{version}" / "site-packages"
    # `site` executes the lines that begin with "import", and takes the others for folders of modules.
    lines = [f"import site; site.addsitedir({sysconfig.get_path('purelib')!r})", str(ROOT)]
    if rebound:
        lines.append("import tests.stdlib.rebinding; tests.stdlib.rebinding.install()")
    (site_packages / "stdlib_suite.pth").write_text("\n".join(lines) + "\n")
    return folder / "bin" / "python"
