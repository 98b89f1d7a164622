"""PAINS rows 52, 57 and 58: where Listeners listen, and whom they let in."""

import socket
from pathlib import Path
from typing import Any

import pytest

from interproc.connection import Client, HandshakeFailed, Listener, families
from interproc.context import SharedMemoryContext
from tests.conformance.test_listeners import raw_client
from tests.contexts import PATIENCE_SECONDS, START_METHODS, Children
from tests.pains import bodies
from tests.programs import VERSIONS, outcome_of, python_of, running

KEY = b"the key"

LONG_TMPDIR = """
import os, sys
import interproc
from interproc.connection import Client, Listener
def child(address, queue, conn, event):
    with Client(address, authkey=b"key") as client:
        client.send(os.getpid())
    queue.put(conn)
    event.wait()
if __name__ == "__main__":
    context = interproc.get_context(sys.argv[1])
    here, there = context.Pipe()
    queue, event = context.Queue(), context.Event()
    with Listener(authkey=b"key") as listener:
        process = context.Process(target=child, args=(listener.address, queue, there, event))
        process.start()
        with listener.accept() as conn:
            assert conn.recv() == process.pid
        folder = os.path.dirname(listener.address)
    there.close()
    travelled = queue.get(timeout=30)
    event.set()
    travelled.send("through a handle")
    print(here.recv(timeout=30), folder)
    process.join()
"""


@pytest.mark.parametrize("method", START_METHODS)
def test_row_52_long_folder_for_temporary_files_harms_nobody(
    method: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    long = tmp_path / ("x" * 120)
    long.mkdir()
    program = tmp_path / "program.py"
    program.write_text(LONG_TMPDIR)
    monkeypatch.setenv("TMPDIR", str(long))
    ended = outcome_of("import runpy, sys; runpy.run_path(sys.argv.pop(1), run_name='__main__')", str(program), method)
    assert (ended.returncode, ended.stderr) == (0, "")
    *words, folder = ended.stdout.split()
    assert words == ["through", "a", "handle"]
    assert not folder.startswith(str(tmp_path))
    assert not Path(folder).exists()


def test_row_52_too_long_a_path_is_named_with_the_limit_and_the_remedy(tmp_path: Path) -> None:
    path = str(tmp_path / ("y" * 110))
    for make in (Listener, Client):
        with pytest.raises(
            OSError, match=rf"AF_UNIX path too long: {len(path)} bytes, where the system takes 107"
        ) as caught:
            make(path)
        assert "Choose a shorter one" in str(caught.value)
        assert caught.value.filename == path


def test_row_57_handshake_is_modern_with_whoever_can(context: SharedMemoryContext, children: Children) -> None:
    with Listener(authkey=KEY) as listener, raw_client(listener) as client:
        with pytest.raises(TimeoutError):
            listener.accept(timeout=0.01)
        assert client.recv(100)[4:].startswith(b"#CHALLENGE#{sha256}")
        children.start(bodies.connect_with_key, listener.address, KEY)
        with listener.accept(PATIENCE_SECONDS) as conn:
            assert conn.recv(timeout=PATIENCE_SECONDS) == "let in"
        children.join()


def test_row_57_nothing_is_unpickled_before_the_key_was_shown() -> None:
    class Trap:
        def __reduce__(self) -> Any:
            return pytest.fail, ("unpickled before the handshake",)

    with Listener(authkey=KEY) as listener, Client(listener.address) as client:  # which knows of no key
        client.send(Trap())
        with pytest.raises(HandshakeFailed):
            listener.accept(PATIENCE_SECONDS)


OLD_CLIENT = """
import ast, sys
from multiprocessing.connection import Client
with Client(ast.literal_eval(sys.argv[1]), authkey=b"the key") as conn:
    conn.send(sys.version_info[:2])
"""


@pytest.mark.parametrize("version", VERSIONS)
def test_row_57_every_version_of_the_standard_library_is_still_let_in(version: str) -> None:
    python = python_of(version)
    if python is None:
        pytest.skip(f"there is no Python {version} here")
    with (
        Listener(("localhost", 0), authkey=KEY) as listener,
        running(OLD_CLIENT, repr(listener.address), python=python) as program,
        listener.accept(PATIENCE_SECONDS) as conn,
    ):
        assert "{}.{}".format(*conn.recv(timeout=PATIENCE_SECONDS)) == version
        program.end()


@pytest.mark.skipif(not socket.has_ipv6, reason="no IPv6 here")
@pytest.mark.parametrize("options", [{"family": "AF_INET6"}, {"address": ("::1", 0)}])
def test_row_58_listeners_and_clients_speak_ipv6(
    context: SharedMemoryContext, children: Children, options: dict[str, Any]
) -> None:
    with Listener(authkey=KEY, **options) as listener:
        assert listener.address[0] == "::1"
        children.start(bodies.connect_with_key, listener.address, KEY)
        with listener.accept(PATIENCE_SECONDS) as conn:
            assert conn.recv(timeout=PATIENCE_SECONDS) == "let in"
            assert listener.last_accepted[0] == "::1"
        children.join()
    assert "AF_INET6" in families
