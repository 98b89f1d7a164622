"""Long-lived workers, a queue that knows when everything is done, and an orderly end.

    python examples/workers_and_results.py [fork | spawn | forkserver]

`join` waits until `task_done` was called for every task. `shutdown` then ends every worker's loop, without one
sentinel for each; results can still be read after that, because they lie in shared memory.
"""

import sys

import interproc

TEXTS = ["the quick brown fox", "jumps over", "the lazy dog"] * 100


def count_words(tasks, results):
    for text in tasks:  # ends when the queue is shut down and empty
        results.put(len(text.split()))
        tasks.task_done()


def main():
    tasks, results = interproc.JoinableQueue(), interproc.Queue()
    workers = [interproc.Process(target=count_words, args=(tasks, results)) for _ in range(3)]
    for worker in workers:
        worker.start()

    tasks.put_many(TEXTS)
    if not tasks.join(timeout=60):
        raise SystemExit("a task was not finished within a minute")
    tasks.shutdown()
    for worker in workers:
        worker.join()
    print([worker.exitcode for worker in workers])

    results.shutdown()
    counts = list(results)
    print(f"{sum(counts)} words in {len(counts)} texts")


if __name__ == "__main__":
    if len(sys.argv) > 1:
        interproc.set_start_method(sys.argv[1])
    main()
