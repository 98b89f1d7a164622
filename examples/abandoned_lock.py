"""A process is killed while it holds a lock. The next one gets it, and is told.

    python examples/abandoned_lock.py [fork | spawn | forkserver]

With multiprocessing both would wait for ever. Here taking the lock warns, or raises where what it guards has to be
repaired first.
"""

import os
import signal
import sys
import warnings

import interproc


def die_between(lock, accounts):
    """Takes money from one account, and is killed before it reaches the other."""
    lock.acquire()
    accounts[0] -= 30
    os.kill(os.getpid(), signal.SIGKILL)  # as the out-of-memory killer does
    accounts[1] += 30


def run(target, *arguments):
    process = interproc.Process(target=target, args=arguments)
    process.start()
    process.join()
    print(f"a process ended with {process.exitcode} while it held the lock")


def main():
    accounts = interproc.Array("i", [100, 100], lock=False)

    lock = interproc.Lock()
    run(die_between, lock, accounts)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        with lock:
            print("the next one got it, abandoned:", lock.abandoned)
    for warning in caught:
        print(f"{warning.category.__name__}: {warning.message}")

    lock = interproc.Lock(on_abandoned="raise")
    run(die_between, lock, accounts)
    try:
        lock.acquire()
    except interproc.AbandonedError as error:
        print(f"AbandonedError: {error}")
    lock.recover()  # takes it
    accounts[0] = 200 - accounts[1]
    lock.release()
    print("repaired:", accounts[:])


if __name__ == "__main__":
    if len(sys.argv) > 1:
        interproc.set_start_method(sys.argv[1])
    main()
