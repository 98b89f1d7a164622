"""Several processes print on one terminal, and a shared Lock keeps each verse whole.

    python examples/lock_on_stdout.py [fork | spawn | forkserver]

All begin each verse at the same time and print line by line, so without the lock their lines would mix. Who is killed
in the middle of a verse silences nobody: the lock goes to the next.
"""

import sys

import interproc as multiprocessing

ANIMALS = ["cat", "owl", "fox", "bee"]


def recite(lock, together, animal):
    for time in ["morning", "noon", "night"]:
        together.wait()
        with lock:
            print(f"The {animal} sat down at {time} light,", flush=True)
            print(f"  the {animal} looked left, the {animal} looked right,", flush=True)
            print(f"  and then the {animal} slipped out of sight.", flush=True)


def main():
    lock, together = multiprocessing.Lock(), multiprocessing.Barrier(len(ANIMALS))
    poets = [multiprocessing.Process(target=recite, args=(lock, together, animal)) for animal in ANIMALS]
    for poet in poets:
        poet.start()
    for poet in poets:
        poet.join()


if __name__ == "__main__":
    if len(sys.argv) > 1:
        multiprocessing.set_start_method(sys.argv[1])
    main()
