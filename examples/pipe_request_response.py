"""Request and response through an anonymous duplex pipe.

    python examples/pipe_request_response.py [fork | spawn | forkserver]

The child keeps accounts between requests; a request that fails comes back as the exception. None is the last request.
The child is a daemon, so it also ends when the parent is killed.
"""

import sys

import interproc as multiprocessing


def keep_accounts(connection):
    balances = {}
    for name, amount in iter(connection.recv, None):
        try:
            balances[name] = balances.get(name, 0) + amount
            connection.send(balances[name])
        except TypeError as error:
            connection.send(error)


def main():
    connection, child_end = multiprocessing.Pipe()
    child = multiprocessing.Process(target=keep_accounts, args=(child_end,), daemon=True)
    child.start()
    child_end.close()  # the child has its own

    for request in [("ada", 10), ("bob", 5), ("ada", -3), ("bob", "much")]:
        connection.send(request)
        print(request, "->", repr(connection.recv()))

    connection.send(None)
    child.join()
    print("child ended with", child.exitcode)


if __name__ == "__main__":
    if len(sys.argv) > 1:
        multiprocessing.set_start_method(sys.argv[1])
    main()
