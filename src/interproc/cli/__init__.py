"""The command line: `python -m interproc COMMAND`, installed as `interproc` too.

Each command is a file here with a `main`, imported when it is asked for. What ends every command alike is dealt with
here: Ctrl-C, being terminated, and an extra that is not installed.
"""

import argparse
import signal
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from types import FrameType

from interproc import __version__

COMMANDS = {
    "demo": "index a folder of Python files serially, with multiprocessing and with interproc",
    "bench": "measure queues and pipes beside multiprocessing and others",
}
EXTRA_OF_PACKAGE = {"rich": "cli", "matplotlib": "bench", "numpy": "bench"}

BAD_USAGE = 2
INTERRUPTED = 128 + signal.SIGINT


def main(argv: Sequence[str] | None = None) -> int:
    """Runs a command.

    Args:
        argv: The command and its arguments, by default those of this process.

    Returns:
        The exit code: 0, 1 if the command failed, 2 if it could not begin, 130 after Ctrl-C.
    """
    arguments = _parser().parse_args(argv)
    try:
        with _terminated_by_exception():
            command: Callable[[list[str]], int] = import_module(f"{__name__}.{arguments.command}").main
            return command(arguments.arguments)
    except KeyboardInterrupt:
        print("interproc: interrupted", file=sys.stderr)
        return INTERRUPTED
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        if package not in EXTRA_OF_PACKAGE:
            raise
        extra = EXTRA_OF_PACKAGE[package]
        print(f"interproc {arguments.command} needs {package}: pip install 'interproc[{extra}]'", file=sys.stderr)
        return BAD_USAGE


def _parser() -> argparse.ArgumentParser:
    listing = "\n".join(f"  {name:<8}{what}" for name, what in COMMANDS.items())
    parser = argparse.ArgumentParser(
        prog="interproc",
        usage="%(prog)s [-h] [--version] COMMAND ...",
        epilog=f"commands, each with a --help of its own:\n{listing}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"%(prog)s {__version__}")
    parser.add_argument("command", choices=COMMANDS, metavar="COMMAND", help=argparse.SUPPRESS)
    parser.add_argument("arguments", nargs=argparse.REMAINDER, help=argparse.SUPPRESS).required = False
    return parser


@contextmanager
def _terminated_by_exception() -> Iterator[None]:
    """Lets SIGTERM unwind the stack, as Ctrl-C does, so that a command can end its processes."""
    before = signal.signal(signal.SIGTERM, _exit)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _exit(number: int, frame: FrameType | None) -> None:
    raise SystemExit(128 + number)
