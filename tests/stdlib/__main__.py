"""`python -m tests.stdlib`: CPython's own tests of multiprocessing, run against interproc.

    python -m tests.stdlib                                   everything
    python -m tests.stdlib --method spawn --jobs 1           one start method, one class at a time
    python -m tests.stdlib WithProcessesTestQueue TestWait.test_wait_socket
    python -m tests.stdlib --list 'With*Pool*'

Ends with 0 if every test did what it should: passed, was skipped, or failed as differences.toml says.
"""

import argparse
import json
import sys
import sysconfig
import tempfile
from pathlib import Path

from tests.stdlib.differences import judge, read_differences, without_tests
from tests.stdlib.outcomes import BAD, ClassOutcomes
from tests.stdlib.report import report
from tests.stdlib.runner import Runner
from tests.stdlib.suite import METHODS, Choice, plan, run


def parse() -> argparse.Namespace:
    """Reads the command line."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.stdlib", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("patterns", nargs="*", help="classes, or Class.test; * and ? stand for any characters")
    parser.add_argument("--method", action="append", choices=METHODS, help="start method, all unless given")
    parser.add_argument("--jobs", type=int, default=2, help="how many classes run side by side")
    parser.add_argument("--patience", type=float, default=120, help="seconds that a test may take")
    parser.add_argument("--standard", action="store_true", help="test the standard library, to compare")
    parser.add_argument("--list", action="store_true", help="only say what would be run")
    parser.add_argument("--json", type=Path, help="write all outcomes to this file")
    arguments = parser.parse_args()
    if arguments.jobs < 1 or arguments.patience <= 0:
        parser.error("--jobs and --patience have to be above zero")
    return arguments


def tell(outcomes: ClassOutcomes) -> None:
    """Says that a class is done."""
    bad = outcomes.count(BAD)
    result = f"{bad} of {len(outcomes.tests)} not passed" if bad else f"{len(outcomes.tests)} done"
    print(f"{outcomes.name} [{outcomes.method}] {result}, {outcomes.seconds:.1f} s", file=sys.stderr, flush=True)


def write_json(runs: list[ClassOutcomes], file: Path) -> None:
    """Writes the outcome of every test."""
    everything = {
        f"{one.method} {one.name}.{name}": [outcome.kind, outcome.detail]
        for one in runs
        for name, outcome in one.tests.items()
    }
    file.write_text(json.dumps(everything, indent=1))


def main() -> int:
    """Runs what was asked for."""
    arguments = parse()
    choice = Choice(tuple(arguments.method or METHODS), tuple(arguments.patterns))
    version = sysconfig.get_python_version()
    differences = [] if arguments.standard else read_differences()
    with tempfile.TemporaryDirectory(prefix="suite-") as folder:
        runner = Runner(Path(folder), arguments.patience, rebound=not arguments.standard)
        absent, jobs = plan(runner, choice, differences, version)
        if arguments.list:
            print(*(f"{job.method} {job.name}.{test}" for job in jobs for test in job.tests), sep="\n")
            return 0
        if not jobs:
            print(f"nothing to run; absent in this Python: {', '.join(absent) or 'nothing'}")
            return 1 if choice.patterns else 0
        runs = run(runner, jobs, arguments.jobs, tell)
    if arguments.json:
        write_json(runs, arguments.json)
    verdicts = judge(runs, differences, version)
    print(f"CPython {sys.version.split()[0]}")
    print(report(runs, verdicts, absent))
    is_whole = not absent and not choice.patterns and choice.methods == METHODS
    unknown = without_tests(differences, verdicts, version) if is_whole else []
    for pattern in unknown:
        print(f"\nstale: no test is called {pattern}")
    return 0 if all(verdict.expected for verdict in verdicts) and not unknown else 1


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:
        sys.exit("interrupted")
