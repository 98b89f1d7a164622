"""A long-lived child that is fed through a pipe, and knows by its end that the meal is over.

    python examples/pipe_fed_child.py [fork | spawn | forkserver]

The parent sends lines as it comes by them. The child counts letters and draws what it has counted when nobody is left
who could send: that is what EOFError says, also when the parent was killed.
"""

import sys
from collections import Counter

import interproc as multiprocessing

LINES = ["she sells sea shells", "by the sea shore", "the shells she sells", "are sea shells for sure"]


def draw_letters(receiver, sender):
    sender.close()  # this process has a copy of that end too; with it open it would wait for itself
    counts = Counter()
    try:
        while True:
            counts.update(receiver.recv().replace(" ", ""))
    except EOFError:
        pass
    for letter, count in sorted(counts.items(), key=lambda item: (-item[1], item[0])):
        print(f"{letter} {'#' * count} {count}")


def main():
    receiver, sender = multiprocessing.Pipe(duplex=False)
    child = multiprocessing.Process(target=draw_letters, args=(receiver, sender))
    child.start()
    receiver.close()
    for line in LINES:
        sender.send(line)
    sender.close()
    child.join()


if __name__ == "__main__":
    if len(sys.argv) > 1:
        multiprocessing.set_start_method(sys.argv[1])
    main()
