"""A long-lived child that answers requests through a duplex pipe.

    python examples/pipe_request_response.py

The child keeps state between requests. A request that fails comes back as the exception. When the parent closes its
end, the child's `recv` raises EOFError, and it ends; it would also if the parent were killed.
"""

import interproc


def keep_accounts(connection):
    balances = {}
    while True:
        try:
            name, amount = connection.recv()
        except EOFError:
            return
        try:
            balances[name] = balances.get(name, 0) + amount
            connection.send(balances[name])
        except TypeError as error:
            connection.send(error)


def main():
    parent_end, child_end = interproc.Pipe()
    child = interproc.Process(target=keep_accounts, args=(child_end,))
    child.start()
    child_end.close()  # the child has its own; end of file comes when the last copy is closed

    for request in [("ada", 10), ("bob", 5), ("ada", -3), ("bob", "much")]:
        parent_end.send(request)
        print(request, "->", repr(parent_end.recv()))

    parent_end.close()
    child.join()
    print("child ended with", child.exitcode)


if __name__ == "__main__":
    main()
