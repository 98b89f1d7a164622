"""What the child processes of these tests run. Imports nothing slow, since fresh interpreters import it."""

import os
import signal
from typing import Any


def put_all(queue: Any, items: list[Any]) -> None:
    for item in items:
        queue.put(item)


def put_numbered(queue: Any, producer: int, count: int) -> None:
    for number in range(count):
        queue.put((producer, number))


def put_many_numbered(queue: Any, producer: int, count: int) -> None:
    queue.put_many((producer, number) for number in range(count))


def put_bytes(queue: Any, sizes: list[int]) -> None:
    for size in sizes:
        queue.put(os.urandom(1) * size)


def collect(queue: Any, results: Any) -> None:
    """Takes all until the shutdown, then tells what came."""
    results.put(list(queue))


def take(queue: Any, count: int, results: Any) -> None:
    results.put([queue.get() for _ in range(count)])


def report_counts(queue: Any, conn: Any) -> None:
    """Answers each request with what this process sees of the queue."""
    while conn.recv() != "end":
        conn.send((queue.qsize(), queue.empty(), queue.full()))


def call(queue: Any, method: str, conn: Any) -> None:
    """Calls a blocking method of the queue, and tells the name of the exception that ends it."""
    conn.send("calling")
    try:
        conn.send(getattr(queue, method)(*(["late"] if method == "put" else [])))
    except Exception as error:
        conn.send(type(error).__name__)


def work(queue: Any) -> None:
    """Works on tasks until the shutdown."""
    for _ in queue:
        queue.task_done()


def echo(conn: Any) -> None:
    """Sends back what comes, until told to end."""
    while (message := conn.recv()) != "end":
        conn.send(message)


def echo_bytes(conn: Any) -> None:
    while (message := conn.recv_bytes()) != b"end":
        conn.send_bytes(message)


def send_all(conn: Any, items: list[Any]) -> None:
    for item in items:
        conn.send(item)
    conn.close()


def hold(conn: Any) -> None:
    """Keeps an end open until told to go."""
    conn.send("held")
    conn.recv()


def write_into_descriptor(conn: Any) -> None:
    """Receives a descriptor, and writes into it."""
    import interproc.reduction

    descriptor = interproc.reduction.recv_handle(conn)
    os.write(descriptor, b"from the child")
    os.close(descriptor)


def receive_from_handle(handles: Any) -> None:
    """Gets a connection out of a queue, and answers over it."""
    conn = handles.get()
    conn.send(("got", conn.recv()))
    conn.close()


def forward(source: Any, target: Any) -> None:
    """Gets a queue out of a queue, and puts into it."""
    source.get().put("through a handle")
    target.put("done")


def block_until_interrupted(call: str, thing: Any, report: Any) -> None:
    """Blocks in a call until SIGINT, tells so, and then makes the call again."""
    import interproc.connection

    signal.signal(signal.SIGINT, signal.default_int_handler)
    calls: dict[str, Any] = {
        "get": lambda: thing.get(),
        "get_many": lambda: thing.get_many(5),
        "put": lambda: thing.put("put"),
        "put_many": lambda: thing.put_many(["put"]),
        "join": lambda: thing.join(),
        "recv": lambda: thing.recv(),
        "recv_bytes": lambda: thing.recv_bytes(),
        "poll": lambda: thing.poll(None),
        "wait": lambda: bool(interproc.connection.wait([thing])),
    }
    report.send("blocks now")
    try:
        calls[call]()
    except KeyboardInterrupt:
        report.send("interrupted")
    report.send(calls[call]())


def start_method_of_child(results: Any) -> None:
    import interproc

    results.put(interproc.get_start_method(allow_none=True))


def fork_safe(queue: Any, results: Any) -> None:
    """Uses both queues in a child of a process whose threads used them while it forked."""
    for number in range(20):
        queue.put(number)
        queue.get(timeout=30)
    results.put("used")


def run_out_of_descriptors(report: Any) -> None:
    """Makes queues, then pipes, until no descriptor is left, and tells how that ended."""
    import resource

    import interproc

    interproc.Pipe()
    before = os.listdir("/proc/self/fd")
    resource.setrlimit(resource.RLIMIT_NOFILE, (len(before) + 20, len(before) + 20))
    for make in (interproc.Queue, interproc.Pipe):
        made: list[object] = []
        try:
            while True:
                made.append(make())
        except OSError as error:
            number, text = error.errno, str(error)
        made.clear()
        report.send((number, text, os.listdir("/proc/self/fd") == before))


def sleep_for_ever(conn: Any) -> None:
    conn.send(os.getpid())
    signal.pause()


def start_daemon_and_wait(context_name: str, conn: Any) -> None:
    """Starts a daemon that inherits the connection, and then waits to be killed."""
    import interproc

    context: Any = interproc.get_context(context_name)
    context.Process(target=sleep_for_ever, args=(conn,), daemon=True).start()
    signal.pause()


def raise_in_child() -> None:
    raise ValueError("expected by the test")


def square(number: int) -> int:
    return number * number


def get_from(queue: Any) -> Any:
    return queue.get(timeout=30)


def answer(conn: Any) -> str:
    conn.send("from a pool worker")
    return "answered"


def kill_self() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def use_the_vocabulary(start_method: str) -> None:
    """Makes and uses what a context offers beside queues and pipes."""
    import interproc

    context = interproc.get_context(start_method)
    with context.Lock(), context.RLock(), context.Semaphore(), context.BoundedSemaphore(2), context.Condition():
        pass
    value, array = context.Value("i", 3), context.Array("d", [1.0, 2.0])
    assert (value.value, array[:]) == (3, [1.0, 2.0])
    event, barrier = context.Event(), context.Barrier(1)
    event.set()
    assert event.is_set()
    assert barrier.wait() == 0
    with context.Manager() as manager:
        assert manager.dict(a=1)["a"] == 1
    assert context.cpu_count() >= 1


def tell_log_level(conn: Any) -> None:
    import interproc

    conn.send(interproc.get_logger().getEffectiveLevel())


def tell_variable(name: str, conn: Any) -> None:
    conn.send(os.environ.get(name))


def wait_for_interrupt(conn: Any) -> None:
    """Blocks until it is interrupted, and tells so."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        conn.send("waits")
        signal.pause()
    except KeyboardInterrupt as error:
        conn.send(type(error).__name__)


def tell_parent(conn: Any) -> None:
    import interproc

    parent = interproc.parent_process()
    conn.send(None if parent is None else parent.pid)
    conn.recv()


def take_and_say_so(queue: Any, count: int, conn: Any) -> None:
    """Keeps what it took until it is killed."""
    taken = [queue.get() for _ in range(count)]
    conn.send(len(taken))
    signal.pause()


def take_array_and_change_it(queue: Any, conn: Any) -> None:
    array = queue.get()
    array[:] = 0
    conn.send("changed")
    signal.pause()
