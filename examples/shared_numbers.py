"""Value and Array in memory that several processes share: without the lock, with it, and without needing it.

    python examples/shared_numbers.py [fork | spawn | forkserver]

`counter.value += 1` reads, then writes; what others wrote in between is lost. The barrier makes that happen every time
here; in other programs it happens by chance. Either hold the lock, or let `add` do both as one step.
"""

import random
import sys

import interproc as multiprocessing

PROCESSES = 4
ROUNDS = 1000


def count_carelessly(counter, barrier):
    number = counter.value
    barrier.wait()  # now all have read, and nobody has written
    counter.value = number + 1


def count_with_the_lock(counter):
    for _ in range(ROUNDS):
        with counter.get_lock():
            counter.value += 1


def count_atomically(counter):
    for _ in range(ROUNDS):
        counter.add(1)


def fill_own_part(squares, part):
    for index in range(part, len(squares), PROCESSES):
        squares[index] = index * index  # nobody else writes there: no lock needed


def move_money(accounts, seed):
    choose = random.Random(seed)
    for _ in range(ROUNDS):
        giver, taker = choose.sample(range(len(accounts)), 2)
        with accounts.get_lock():
            if accounts[giver] > 0:
                accounts[giver] -= 1
                accounts[taker] += 1


def in_processes(target, *arguments):
    """Runs one function in several processes, each with its own last argument if there is a list of them."""
    processes = [multiprocessing.Process(target=target, args=each) for each in zip(*arguments, strict=True)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()


def main():
    everybody = range(PROCESSES)

    careless, barrier = multiprocessing.Value("i", 0, lock=False), multiprocessing.Barrier(PROCESSES)
    in_processes(count_carelessly, [careless for _ in everybody], [barrier for _ in everybody])
    print(f"{PROCESSES} careless increments make {careless.value}")

    locked = multiprocessing.Value("i", 0)
    in_processes(count_with_the_lock, [locked for _ in everybody])
    print(f"{PROCESSES * ROUNDS} increments with the lock make {locked.value}")

    atomic = multiprocessing.Value("i", 0)
    in_processes(count_atomically, [atomic for _ in everybody])
    print(f"{PROCESSES * ROUNDS} atomic additions make {atomic.value}")

    squares = multiprocessing.Array("i", 12, lock=False)
    in_processes(fill_own_part, [squares for _ in everybody], everybody)
    print("squares, each process its part:", squares[:])

    accounts = multiprocessing.Array("i", [100, 100, 100])
    in_processes(move_money, [accounts for _ in everybody], everybody)
    print(f"after {PROCESSES * ROUNDS} transfers the accounts hold {sum(accounts)} together")


if __name__ == "__main__":
    if len(sys.argv) > 1:
        multiprocessing.set_start_method(sys.argv[1])
    main()
