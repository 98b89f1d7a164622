"""A Process subclass fills a queue; the parent looks into it now and then while it works itself.

    python examples/process_subclass.py [fork | spawn | forkserver]

The child searches primes, the parent adds up a series for pi. Once the child has ended, everything that it put is in
the queue: `empty` is exact.
"""

import sys

import interproc as multiprocessing

LIMIT = 3000


class PrimeFinder(multiprocessing.Process):
    """Puts the primes below a limit on a queue, as it finds them."""

    def __init__(self, limit, found):
        super().__init__(name="prime finder")
        self.limit = limit
        self.found = found

    def run(self):
        for number in range(2, self.limit):
            if all(number % divisor for divisor in range(2, number)):
                self.found.put(number)


def main():
    found = multiprocessing.Queue()
    finder = PrimeFinder(LIMIT, found)
    finder.start()

    primes = []
    quarter_of_pi, terms = 0.0, 0
    while finder.is_alive() or not found.empty():
        while not found.empty():
            primes.append(found.get())
        for _ in range(1000):  # the parent's own work
            quarter_of_pi += (-1) ** terms / (2 * terms + 1)
            terms += 1

    print(f"the {finder.name} found {len(primes)} primes below {LIMIT}, the last are {primes[-3:]}")
    print(f"meanwhile the parent added {terms} terms: pi is about {4 * quarter_of_pi:.3f}")
    finder.join()


if __name__ == "__main__":
    if len(sys.argv) > 1:
        multiprocessing.set_start_method(sys.argv[1])
    main()
