"""Managers: processes that keep objects for others, and give them proxies.

The protocol, the server and the proxies are in `managing`; the standard library's managers and proxies are the base
classes, and understand ours and are understood, also over a network.
"""

from __future__ import annotations

import multiprocessing.managers
import queue
import signal
import threading
from collections.abc import Callable, Iterable, Mapping
from contextlib import closing, suppress
from multiprocessing.context import ProcessError
from multiprocessing.managers import Namespace, RemoteError, Token
from multiprocessing.process import current_process
from typing import TYPE_CHECKING, Any, ClassVar, Self

from interproc import connection, context, outcomes, pool
from interproc.addresses import shorten_temp_dir
from interproc.managing.client import Client, authentication_string, clients, died, dispatch
from interproc.managing.errors import ManagerDied
from interproc.managing.memory_server import SharedMemoryServer
from interproc.managing.proxies import (
    AcquirerProxy,
    ArrayProxy,
    BarrierProxy,
    BaseListProxy,
    ConditionProxy,
    DictProxy,
    EventProxy,
    IteratorProxy,
    ListProxy,
    NamespaceProxy,
    PoolProxy,
    SetProxy,
    ValueProxy,
)
from interproc.managing.proxy import AutoProxy, BaseProxy, MakeProxyType, RebuildProxy, adopt, client_of
from interproc.managing.server import Server, listener_client
from interproc.util import Finalize

_standard: Any = multiprocessing.managers  # typeshed leaves these out
Array = _standard.Array
State = _standard.State
Value = _standard.Value


class BaseManager(multiprocessing.managers.BaseManager):
    """Starts or reaches a process that keeps objects, and makes proxies of them.

    Processes of this machine talk to it through shared memory, others over a socket. It ends with `shutdown`, when the
    manager object is collected, and when the program has ended, however that ended.

    Args:
        address: Where the process listens; None for a Unix socket that nobody else has.
        authkey: What clients have to know; None for this process's.
        serializer: "pickle" or "xmlrpclib".
        ctx: The context that starts the process; None for that of the default start method.
        shutdown_timeout: How many seconds `shutdown` lets the process end by itself before it is terminated, and then
            before it is killed.

    Differs: `start` raises what kept the process from starting. The length of TMPDIR does not matter.
    """

    _registry: ClassVar[dict[str, Any]] = {}
    _Server: ClassVar[Any] = Server
    _process: Any = None
    _client: Client | None = None

    def __init__(
        self,
        address: Any = None,
        authkey: bytes | None = None,
        serializer: str = "pickle",
        ctx: Any = None,
        *,
        shutdown_timeout: float = 1.0,
    ) -> None:
        self._address = address
        self._authkey = authentication_string(current_process().authkey if authkey is None else authkey)
        self._state = State()
        self._state.value = State.INITIAL
        self._serializer = serializer
        self._Listener, self._Client = listener_client[serializer]
        self._ctx = ctx or context.default_context.get_context()
        self._shutdown_timeout = shutdown_timeout

    def get_server(self) -> Any:
        """Returns a server with `serve_forever` and `address`, for this process to be the manager's."""
        self._check_initial()
        return self._Server(self._registry, self._address, self._authkey, self._serializer)

    def connect(self) -> None:
        """Reaches a manager that somebody else has started.

        Raises:
            OSError: Nobody listens at the address.
            AuthenticationError: The key is wrong.
        """
        with closing(self._Client(self._address, authkey=self._authkey)) as reached:
            dispatch(reached, None, "dummy")
        clients.check(self._address)
        self._state.value = State.STARTED

    def start(self, initializer: Callable[..., object] | None = None, initargs: Iterable[Any] = ()) -> None:
        """Starts the manager's process, and blocks until it serves.

        Args:
            initializer: Called there with `initargs` before.

        Raises:
            ProcessError: It was started before, or the process ended without saying why.
            Exception: What the initializer raised, or whatever kept the process from serving.
        """
        self._check_initial()
        if initializer is not None and not callable(initializer):
            raise TypeError("initializer must be a callable")
        shorten_temp_dir()  # here, so that it is removed here, whatever becomes of the manager
        reader, writer = connection.Pipe(duplex=False)
        with reader:
            with writer:
                self._process = self._ctx.Process(
                    target=type(self)._run_server,
                    args=(
                        self._registry,
                        self._address,
                        self._authkey,
                        self._serializer,
                        writer,
                        initializer,
                        initargs,
                    ),
                )
                identity = ":".join(str(number) for number in self._process._identity)
                self._process.name = f"{type(self).__name__}-{identity}"
                self._process.start()
            self._address = _await_address(self._process, reader)
        clients.close(self._address)  # of a manager that was there before
        self._state.value = State.STARTED
        self.shutdown: Any = Finalize(
            self,
            type(self)._finalize_manager,
            (self._process, self._address, self._authkey, self._state, self._Client, self._shutdown_timeout),
            exitpriority=0,
        )

    @classmethod
    def _run_server(
        cls,
        registry: Mapping[str, Any],
        address: Any,
        authkey: bytes,
        serializer: str,
        writer: Any,
        initializer: Callable[..., object] | None = None,
        initargs: Iterable[Any] = (),
    ) -> None:
        signal.signal(signal.SIGINT, signal.SIG_IGN)  # whoever started it decides when it ends
        with writer:
            try:
                if initializer is not None:
                    initializer(*initargs)
                server = cls._Server(registry, address, authkey, serializer)
            except BaseException as error:
                writer.send((None, outcomes.pack(error)))
                raise SystemExit(1) from None
            writer.send((server.address, None))
        server.serve_forever()

    def _create(self, typeid: str, /, *args: Any, **kwds: Any) -> Any:
        """Makes a shared object; returns its token and the names of its methods. The caller has to count it down."""
        self._check_started()
        with closing(self._Client(self._address, authkey=self._authkey)) as reached:
            ident, exposed = dispatch(reached, None, "create", (typeid, *args), kwds)
        return Token(typeid, self._address, ident), exposed

    def _find_client(self) -> Client | None:
        """This process's client of the manager; None where only the standard library's protocol will do."""
        if self._serializer != "pickle":
            return None
        try:
            self._client = client_of(self._address, self._authkey)  # which lives as long as somebody has it
            return self._client
        except ManagerDied as error:
            raise error if self._process is None else died(self._address, self._process.pid) from error

    def _ask(self, name: str, *args: Any) -> Any:
        """Calls a method of the server."""
        client = self._find_client()
        if client is not None:
            return client.ask(name, *args)
        with closing(self._Client(self._address, authkey=self._authkey)) as reached:
            return dispatch(reached, None, name, args)

    def _debug_info(self) -> Any:
        return self._ask("debug_info")

    def _number_of_objects(self) -> Any:
        return self._ask("number_of_objects")

    def join(self, timeout: float | None = None) -> None:
        """Blocks until the manager's process has ended, if this object has started one, or the timeout has passed."""
        if self._process is not None:
            self._process.join(timeout)
            if not self._process.is_alive():
                self._process = None

    def __enter__(self) -> Self:
        if self._state.value == State.INITIAL:
            self.start()
        self._check_started()
        return self

    def __exit__(self, *exception: object) -> None:
        self.shutdown()

    @property
    def address(self) -> Any:
        """Where the manager's process listens."""
        return self._address

    def _check_initial(self) -> None:
        if self._state.value == State.STARTED:
            raise ProcessError("Already started server")
        if self._state.value == State.SHUTDOWN:
            raise ProcessError("Manager has shut down")

    def _check_started(self) -> None:
        if self._state.value == State.SHUTDOWN:
            raise ProcessError("Manager has shut down")
        if self._state.value != State.STARTED:
            raise AssertionError("server not yet started: call start() or connect()")

    @staticmethod
    def _finalize_manager(
        process: Any, address: Any, authkey: bytes, state: Any, client_type: Any, shutdown_timeout: float
    ) -> None:
        state.value = State.SHUTDOWN
        if process.is_alive():
            with (
                suppress(OSError, EOFError, ProcessError, RemoteError),  # it may be ending by itself
                closing(client_type(address, authkey=authkey)) as reached,
            ):
                dispatch(reached, None, "shutdown")
            for end in (process.terminate, process.kill):
                process.join(timeout=shutdown_timeout)
                if process.is_alive():
                    end()
            process.join()
        clients.close(address)
        BaseProxy._address_to_local.pop(address, None)

    @classmethod
    def register(
        cls,
        typeid: str,
        callable: Callable[..., object] | None = None,
        proxytype: Any = None,
        exposed: Iterable[str] | None = None,
        method_to_typeid: Mapping[str, str] | None = None,
        create_method: bool = True,
    ) -> None:
        """Lets managers of this class share another type of objects.

        Args:
            typeid: The type's name, and that of the method that makes such an object.
            callable: Makes the object in the manager's process; None where a manager only connects to others, or where
                `typeid` only serves in `method_to_typeid`.
            proxytype: Makes proxies; None for `AutoProxy`.
            exposed: The methods that proxies may call; None for those that the proxy class names, or else all public.
            method_to_typeid: For methods whose results shall be shared objects too, the names of their types.
            create_method: Whether to add the method.
        """
        if "_registry" not in cls.__dict__:
            cls._registry = cls._registry.copy()
        proxytype = proxytype or AutoProxy
        exposed = exposed or getattr(proxytype, "_exposed_", None)
        method_to_typeid = method_to_typeid or getattr(proxytype, "_method_to_typeid_", None)
        for key, value in (method_to_typeid or {}).items():
            if type(key) is not str or type(value) is not str:
                raise AssertionError(f"method_to_typeid has to lead from names to names, not from {key!r} to {value!r}")
        cls._registry[typeid] = (callable, exposed, method_to_typeid, proxytype)
        if create_method:
            setattr(cls, typeid, _factory(typeid, proxytype))


def _factory(typeid: str, proxytype: Any) -> Callable[..., Any]:
    def make(self: BaseManager, /, *args: Any, **kwds: Any) -> Any:
        self._check_started()
        client = self._find_client()
        if client is not None:
            ident, exposed = client.ask("make", typeid, *args, **kwds)
            token = Token(typeid, self._address, ident)
            return adopt(client, proxytype, token, self._serializer, self, self._authkey, exposed)
        token, exposed = self._create(typeid, *args, **kwds)
        proxy = proxytype(token, self._serializer, manager=self, authkey=self._authkey, exposed=exposed)
        with closing(self._Client(self._address, authkey=self._authkey)) as reached:
            dispatch(reached, None, "decref", (token.id,))
        return proxy

    make.__name__ = typeid
    make.__doc__ = f"Makes a shared object of the type {typeid!r} and returns a proxy of it."
    return make


def _await_address(process: Any, reader: Any) -> Any:
    """Blocks until a manager's process serves; returns where."""
    connection.wait([reader, process.sentinel])  # other children may hold copies of the pipe's other end
    try:
        address, failure = reader.recv(timeout=0)
    except (EOFError, TimeoutError):
        process.join()
        raise ProcessError(
            f"the manager's process {process.name!r} ended with exit code {process.exitcode} before it served"
        ) from None
    if failure is not None:
        process.join()
        raise outcomes.unpack(failure)
    return address


class SyncManager(BaseManager, multiprocessing.managers.SyncManager):
    """Shares what threads share: lists, dicts, sets, namespaces, values, queues, locks and their kin, and pools.

    `multiprocessing.Manager()` makes and starts one.
    """

    if TYPE_CHECKING:

        def set(self, sequence: Iterable[Any] = ..., /) -> Any: ...


SyncManager.register("Queue", queue.Queue)
SyncManager.register("JoinableQueue", queue.Queue)
SyncManager.register("Event", threading.Event, EventProxy)
SyncManager.register("Lock", threading.Lock, AcquirerProxy)
SyncManager.register("RLock", threading.RLock, AcquirerProxy)
SyncManager.register("Semaphore", threading.Semaphore, AcquirerProxy)
SyncManager.register("BoundedSemaphore", threading.BoundedSemaphore, AcquirerProxy)
SyncManager.register("Condition", threading.Condition, ConditionProxy)
SyncManager.register("Barrier", threading.Barrier, BarrierProxy)
SyncManager.register("Pool", pool.Pool, PoolProxy)
SyncManager.register("list", list, ListProxy)
SyncManager.register("dict", dict, DictProxy)
SyncManager.register("set", set, SetProxy)
SyncManager.register("Value", Value, ValueProxy)
SyncManager.register("Array", Array, ArrayProxy)
SyncManager.register("Namespace", Namespace, NamespaceProxy)
SyncManager.register("Iterator", proxytype=IteratorProxy, create_method=False)
SyncManager.register("AsyncResult", create_method=False)


class SharedMemoryManager(BaseManager):
    """Makes shared memory that is removed when the manager ends."""

    _Server = SharedMemoryServer

    def SharedMemory(self, size: int) -> Any:
        """Makes a block of shared memory of so many bytes: see `interproc.shared_memory.SharedMemory`."""
        from interproc.shared_memory import SharedMemory

        self._check_serving()
        block = SharedMemory(create=True, size=size)
        self._track(block)
        return block

    def ShareableList(self, sequence: Iterable[Any]) -> Any:
        """Makes a list in shared memory: see `interproc.shared_memory.ShareableList`."""
        from interproc.shared_memory import ShareableList

        self._check_serving()
        made = ShareableList(sequence)
        self._track(made.shm)
        return made

    def _track(self, block: Any) -> None:
        try:
            self._ask("track_segment", block.name)
        except BaseException:
            block.unlink()
            raise

    def _check_serving(self) -> None:
        if self._state.value != State.STARTED:
            raise ValueError("this SharedMemoryManager does not serve: call start() first")


__all__ = [
    "AcquirerProxy",
    "Array",
    "ArrayProxy",
    "AutoProxy",
    "BarrierProxy",
    "BaseListProxy",
    "BaseManager",
    "BaseProxy",
    "ConditionProxy",
    "DictProxy",
    "EventProxy",
    "IteratorProxy",
    "ListProxy",
    "MakeProxyType",
    "ManagerDied",
    "Namespace",
    "NamespaceProxy",
    "PoolProxy",
    "ProcessError",
    "RebuildProxy",
    "RemoteError",
    "Server",
    "SetProxy",
    "SharedMemoryManager",
    "SharedMemoryServer",
    "State",
    "SyncManager",
    "Token",
    "Value",
    "ValueProxy",
    "dispatch",
    "listener_client",
]
