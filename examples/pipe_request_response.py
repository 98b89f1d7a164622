"""A long-lived child that answers requests through a duplex pipe.

    python examples/pipe_request_response.py

The child keeps state between requests; a request that fails comes back as the exception. None is the last request. The
child is a daemon, so it also ends when the parent is killed.
"""

import interproc


def keep_accounts(connection):
    balances = {}
    for name, amount in iter(connection.recv, None):
        try:
            balances[name] = balances.get(name, 0) + amount
            connection.send(balances[name])
        except TypeError as error:
            connection.send(error)


def main():
    connection, child_end = interproc.Pipe()
    child = interproc.Process(target=keep_accounts, args=(child_end,), daemon=True)
    child.start()
    child_end.close()  # the child has its own

    for request in [("ada", 10), ("bob", 5), ("ada", -3), ("bob", "much")]:
        connection.send(request)
        print(request, "->", repr(connection.recv(timeout=60)))

    connection.send(None)
    child.join()
    print("child ended with", child.exitcode)


if __name__ == "__main__":
    main()
