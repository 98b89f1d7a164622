"""Makes the virtual environment that the make targets use, from nothing but a Python.

    python3 tools/bootstrap.py VENV EXTRA [--werror ON] [--regular]

Creates VENV, finds a C++20 compiler or installs the one that PyPI carries, writes VENV/toolchain.cmake, and installs
interproc with the named extra, editable unless told --regular. Every step may be repeated. What PyPI cannot supply is
named in one line. Parses under Python 3.7, so that a too old Python gets that line and not a syntax error.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
OLDEST_PYTHON = "3.11"
PYTHON_VERSION = f"{sys.version_info[0]}.{sys.version_info[1]}"

# Needs a C++20 library too, not only a compiler that knows the flag.
PROBE = "#include <atomic>\n#include <concepts>\n#include <span>\nint main() { return std::atomic<int>{0}.load(); }\n"

ZIG_PROGRAMS = {"cc": "cc", "c++": "c++", "ar": "ar", "ranlib": "ranlib"}


class MissingError(Exception):
    """Something that only the system can supply is not there."""


def remedy(debian: str, fedora: str) -> str:
    """The command that installs a package here, by the package manager that is here."""
    if shutil.which("dnf"):
        return f"dnf install {fedora}"
    return f"apt install {debian}" if shutil.which("apt-get") else f"install {debian} or your system's equivalent"


def check_python() -> None:
    """Raises MissingError if this Python cannot host the build."""
    if sys.version_info[:2] < tuple(map(int, OLDEST_PYTHON.split("."))):
        raise MissingError(
            f"Python {PYTHON_VERSION} is too old: install {OLDEST_PYTHON} and say PYTHON=python{OLDEST_PYTHON}"
        )
    try:
        import ensurepip  # noqa: F401
        import venv  # noqa: F401
    except ImportError:
        how = remedy(f"python{PYTHON_VERSION}-venv", "python3-libs")
        raise MissingError(f"Python {PYTHON_VERSION} cannot make virtual environments: {how}") from None
    if not (Path(sysconfig.get_path("include")) / "Python.h").exists():
        how = remedy(f"python{PYTHON_VERSION}-dev", "python3-devel")
        raise MissingError(f"Python.h of Python {PYTHON_VERSION} is missing: {how}")


def compiles(compiler: str) -> bool:
    """Whether the compiler builds and links a C++20 program."""
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / "probe.cpp"
        source.write_text(PROBE)
        command = [compiler, "-std=c++20", str(source), "-o", str(source.with_suffix(""))]
        return subprocess.run(command, capture_output=True, check=False).returncode == 0


def system_compiler() -> str | None:
    """The path of the system's C++20 compiler, None if it has none."""
    named = os.environ.get("CXX")
    for candidate in [named] if named else ["c++", "g++", "clang++"]:
        path = shutil.which(candidate)
        if path and compiles(path):
            return path
    if named:
        raise MissingError(f"CXX={named} does not compile C++20: unset it or name another compiler")
    return None


class Environment:
    """The virtual environment at one path."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.bin = path / "bin"
        self.python = self.bin / "python"
        self.toolchain = path / "toolchain.cmake"

    def create(self) -> None:
        """Makes the environment unless a whole one is there."""
        if not (self.bin / "pip").exists():
            subprocess.run([sys.executable, "-m", "venv", "--clear", str(self.path)], check=True)

    def pip_install(self, *arguments: str) -> None:
        """Runs pip install, with CMake seeing this environment's toolchain and programs."""
        environ = dict(os.environ)
        environ["PATH"] = f"{self.bin}{os.pathsep}{environ['PATH']}"
        environ["CMAKE_TOOLCHAIN_FILE"] = str(self.toolchain)
        command = [str(self.python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *arguments]
        subprocess.run(command, check=True, env=environ, cwd=ROOT)

    def choose_compiler(self) -> None:
        """Writes the toolchain file, after installing a compiler if the system has none."""
        compiler = system_compiler()
        if compiler:
            self.toolchain.write_text(f'set(CMAKE_CXX_COMPILER "{compiler}")\n')
            return
        print("bootstrap: no C++20 compiler here, installing the one of the ziglang wheel", flush=True)
        self.pip_install("ziglang")
        for program, subcommand in ZIG_PROGRAMS.items():
            wrapper = self.bin / f"zig-{program}"
            wrapper.write_text(f'#!/bin/sh\nexec "{self.python}" -m ziglang {subcommand} "$@"\n')
            wrapper.chmod(0o755)
        self.toolchain.write_text(
            f'set(CMAKE_CXX_COMPILER "{self.bin}/zig-c++")\n'
            f'set(CMAKE_AR "{self.bin}/zig-ar")\n'
            f'set(CMAKE_RANLIB "{self.bin}/zig-ranlib")\n'
        )


def build_requirements() -> list[str]:
    """What has to be in the environment before the package can be built without isolation."""
    import tomllib

    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    return [*project["build-system"]["requires"], "cmake", "ninja"]


def main() -> None:
    """Runs all steps."""
    parser = argparse.ArgumentParser(description="make the virtual environment of the make targets")
    parser.add_argument("venv", type=Path)
    parser.add_argument("extra")
    parser.add_argument("--werror", default="OFF", help="ON turns the compiler's warnings into errors")
    parser.add_argument("--regular", action="store_true", help="install as users do, a copy and not a link")
    arguments = parser.parse_args()
    check_python()
    environment = Environment(arguments.venv.absolute())
    print(f"bootstrap: preparing {environment.path.name} for '{arguments.extra}', once", flush=True)
    environment.create()
    environment.choose_compiler()
    environment.pip_install(*build_requirements())
    environment.pip_install(
        "--no-build-isolation",
        "-Ceditable.rebuild=false",
        f"-Cbuild-dir=build/{environment.path.name.lstrip('.')}",
        f"-Ccmake.define.INTERPROC_WERROR={arguments.werror}",
        *([] if arguments.regular else ["--editable"]),
        f".[{arguments.extra}]",
    )


if __name__ == "__main__":
    try:
        main()
    except MissingError as missing:
        sys.exit(f"interproc: {missing}")
    except subprocess.CalledProcessError as failed:
        sys.exit(f"interproc: {' '.join(map(str, failed.cmd))} failed")
