"""Children that start independent programs: one runs a program and reports, one becomes a program.

    python examples/starting_programs.py [fork | spawn | forkserver]

Nothing of interproc leaks into them: its descriptors are closed on exec. Who becomes a program stays the same process,
and the program's exit status is its exitcode.
"""

import os
import subprocess
import sys

import interproc as multiprocessing

PROGRAM = "import sys; print('an independent program got', sys.argv[1:]); sys.exit(len(sys.argv))"


def run_program(results, *arguments):
    ended = subprocess.run([sys.executable, "-c", PROGRAM, *arguments], capture_output=True, text=True, check=False)
    results.put((ended.returncode, ended.stdout.strip()))


def become_program(*arguments):
    os.execv(sys.executable, [sys.executable, "-c", PROGRAM, *arguments])


def main():
    results = multiprocessing.Queue()
    runner = multiprocessing.Process(target=run_program, args=(results, "tea", "milk"))
    runner.start()
    status, output = results.get()
    runner.join()
    print(f"run by a child: {output!r}, status {status}; the child itself ended with {runner.exitcode}")

    print("now a child becomes it:", flush=True)
    child = multiprocessing.Process(target=become_program, args=("coffee",))
    child.start()
    child.join()
    print("it ended with", child.exitcode)


if __name__ == "__main__":
    if len(sys.argv) > 1:
        multiprocessing.set_start_method(sys.argv[1])
    main()
