"""Lambdas, closures and bound methods are messages like any other, under every start method.

    python examples/closures_travel.py [fork | spawn | forkserver]

What cannot travel raises in `put`, on the line that put it, and the error says where in the object it is.
"""

import sys
import threading

import interproc


class Scale:
    def __init__(self, factor):
        self.factor = factor

    def apply(self, number):
        return number * self.factor


def work(jobs, results):
    for function, argument in jobs:
        results.put(function(argument))


def main():
    jobs, results = interproc.Queue(), interproc.Queue()
    worker = interproc.Process(target=work, args=(jobs, results))
    worker.start()

    offset = 100

    def add_offset(number):
        return number + offset

    jobs.put((lambda number: number**2, 12))
    jobs.put((add_offset, 5))
    jobs.put((Scale(3).apply, 7))
    print([results.get() for _ in range(3)])

    try:
        jobs.put((print, {"numbers": [1, 2], "guard": threading.Lock()}))
    except TypeError as error:
        print("put raised:", error)

    jobs.shutdown()
    worker.join()


if __name__ == "__main__":
    if len(sys.argv) > 1:
        interproc.set_start_method(sys.argv[1])
    main()
