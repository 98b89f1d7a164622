"""A pool of processes for work that comes in pieces: map, imap_unordered, apply_async.

    python examples/pool_of_workers.py [fork | spawn | forkserver]

An exception in a worker is raised where its result is asked for, and the pool goes on.
"""

import sys

import interproc as multiprocessing


def collatz_steps(number):
    """How many steps a number takes to 1, halving what is even and tripling plus one what is odd."""
    if number < 1:
        raise ValueError(f"{number} never reaches 1")
    steps = 0
    while number != 1:
        number = number // 2 if number % 2 == 0 else 3 * number + 1
        steps += 1
    return steps


def steps_of(number):
    return collatz_steps(number), number


def main():
    with multiprocessing.Pool(2) as pool:
        print("map, in order:         ", pool.map(collatz_steps, range(1, 11)))

        longest = max(pool.imap_unordered(steps_of, range(1, 10_000), chunksize=500))
        print("imap_unordered, as they come: {} steps for {}".format(*longest))

        waiting = pool.apply_async(collatz_steps, [27], callback=lambda steps: print("the callback heard", steps))
        print("apply_async, asked for later:", waiting.get())

        try:
            pool.apply(collatz_steps, [-5])
        except ValueError as error:
            print("raised in a worker, caught here:", error)


if __name__ == "__main__":
    if len(sys.argv) > 1:
        multiprocessing.set_start_method(sys.argv[1])
    main()
