"""The system's own ways to talk beside the package's: a FIFO, a socket pair, a Unix socket, a pipe; one wait for all.

    python examples/sockets_and_fifos.py [fork | spawn | forkserver]

`interproc.connection.wait` takes whatever has a descriptor, so that a program can move to queues and pipes piece by
piece.
"""

import os
import socket
import sys
import tempfile
from pathlib import Path

import interproc as multiprocessing
from interproc.connection import Client, Listener, wait


def say_hello(fifo_path, end_of_pair, address, connection):
    """The child: says hello in four ways."""
    fifo_path.write_text("hello through a FIFO")
    with end_of_pair:
        end_of_pair.sendall(b"hello through a socket pair")
    with Client(address) as client:
        client.send(["hello through", "a Unix socket", {"as": "an object"}])
    connection.send(("hello through", "a pipe of shared memory", {"as": "an object"}))


def main():
    with tempfile.TemporaryDirectory() as folder:
        fifo_path = Path(folder, "fifo")
        os.mkfifo(fifo_path)
        fifo = os.open(fifo_path, os.O_RDONLY | os.O_NONBLOCK)  # else this would wait for the writer
        here, there = socket.socketpair()
        connection, child_end = multiprocessing.Pipe()
        with Listener(os.path.join(folder, "socket"), "AF_UNIX") as listener:
            child = multiprocessing.Process(target=say_hello, args=(fifo_path, there, listener.address, child_end))
            child.start()
            there.close()
            child_end.close()
            accepted = listener.accept()

            voices = {
                fifo: lambda: os.read(fifo, 100),
                here: lambda: here.recv(100),
                accepted: accepted.recv,
                connection: connection.recv,
            }
            heard = {}
            while len(heard) < len(voices):
                for ready in wait([voice for voice in voices if voice not in heard]):
                    heard[ready] = voices[ready]()
            for voice in voices:
                print(heard[voice])

            child.join()
            accepted.close()
        os.close(fifo)
        here.close()


if __name__ == "__main__":
    if len(sys.argv) > 1:
        multiprocessing.set_start_method(sys.argv[1])
    main()
