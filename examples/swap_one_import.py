"""A program for multiprocessing that runs on interproc: one import has changed.

    python examples/swap_one_import.py [fork | spawn | forkserver]

Squares numbers in two processes, with jobs and results on queues, and says goodbye through a pipe.
"""

import sys

import interproc as multiprocessing  # was: import multiprocessing


def square(jobs, results):
    for number in iter(jobs.get, None):
        results.put((number, number * number))


def greet(connection):
    with connection:
        connection.send("hello from the child")


def main():
    jobs, results = multiprocessing.Queue(), multiprocessing.Queue()
    workers = [multiprocessing.Process(target=square, args=(jobs, results)) for _ in range(2)]
    for worker in workers:
        worker.start()
    for number in range(10):
        jobs.put(number)
    for _ in workers:
        jobs.put(None)
    print(dict(sorted(results.get() for _ in range(10))))
    for worker in workers:
        worker.join()

    receiver, sender = multiprocessing.Pipe(duplex=False)
    child = multiprocessing.Process(target=greet, args=(sender,))
    child.start()
    sender.close()
    print(receiver.recv())
    child.join()


if __name__ == "__main__":
    if len(sys.argv) > 1:
        multiprocessing.set_start_method(sys.argv[1])
    main()
