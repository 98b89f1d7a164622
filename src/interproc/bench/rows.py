"""Rows: everything the table shows, in its order."""

from dataclasses import dataclass
from typing import Literal

from interproc.bench.experiments import (
    Backlog,
    Burst,
    Copying,
    Creation,
    Experiment,
    FanOut,
    Flow,
    Idle,
    Importing,
    Lending,
    Managed,
    OneCopy,
    Pooled,
    Primitive,
    PutGet,
    RoundTrip,
    Starting,
)
from interproc.bench.payloads import DICT, INT, KIB, MIB, Payload, array_of, arrays_in_a_dict, bytes_of
from interproc.bench.targets import AtMost, Both, LikeRow, ShareOfRow, Target, TimesBetter, TimesTheTime
from interproc.bench.units import BYTES, BYTES_PER_SECOND, CORE_SHARE


@dataclass(frozen=True)
class Fixed:
    """A count that is not to be found out but given."""

    count: int
    quick_count: int
    most_rounds: int = 3


@dataclass(frozen=True)
class Restriction:
    """Only these peers take part, for a reason."""

    peers: frozenset[str]
    reason: str


@dataclass(frozen=True)
class Row:
    """One line of the table."""

    key: str
    title: str
    experiment: Experiment
    target: Target | None = None
    fixed: Fixed | None = None
    restriction: Restriction | None = None


def _volume(link: Literal["queue", "array queue", "pipe"], payload: Payload) -> Flow:
    return Flow(payload, link, unit=BYTES_PER_SECOND)


def _array_target(limit: str) -> Target:
    return Both(TimesBetter(20), ShareOfRow(0.5, limit))


FAST_ENOUGH = Restriction(frozenset({"interproc", "faster-fifo"}), "takes minutes")
NO_LIBRARY = Restriction(frozenset({"interproc"}), "no library takes part")

ROWS: tuple[Row, ...] = (
    Row("put-get", "Queue put+get of an int, one process", PutGet("queue")),
    Row("put-get-simple", "SimpleQueue put+get of an int, one process", PutGet("simple_queue"), TimesBetter(50)),
    Row("ints-1p1c", "Queue, 1 producer 1 consumer, ints", Flow(INT), TimesBetter(12)),
    Row("ints-batch-64", "same, put_many/get_many of 64 (where offered)", Flow(INT, batch=64), TimesBetter(40)),
    Row("dicts-1p1c", "Queue, 1 producer 1 consumer, 4-key dicts", Flow(DICT), TimesBetter(6)),
    Row("ints-4p4c", "Queue, 4 producers 4 consumers, ints", Flow(INT, workers=4), TimesBetter(8)),
    Row("pipe-ping-pong", "Pipe round trip, 2 free cores", RoundTrip("pipe"), TimesBetter(15)),
    Row("queue-ping-pong", "Queue round trip, 2 free cores", RoundTrip("queue"), TimesBetter(30)),
    Row("pipe-one-core", "Pipe round trip, one core", RoundTrip("pipe", one_core=True), TimesBetter(2)),
    Row("queue-one-core", "Queue round trip, one core", RoundTrip("queue", one_core=True), TimesBetter(2)),
    Row("pipe-asleep", "Pipe round trip, both asleep before", RoundTrip("pipe", "asleep"), TimesBetter(1)),
    Row("queue-asleep", "Queue round trip, both asleep before", RoundTrip("queue", "asleep"), TimesBetter(1)),
    Row("queue-bytes-64k", "Queue, bytes of 64 KiB", _volume("queue", bytes_of(64 * KIB)), TimesBetter(5)),
    Row("pipe-bytes-64k", "Pipe send_bytes of 64 KiB", _volume("pipe", bytes_of(64 * KIB))),
    Row("copy-64k", "64 KiB copied in and out, one process: the limit", Copying(64 * KIB), restriction=NO_LIBRARY),
    Row("memcpy-1m", "1 MiB copied once, one process: the limit", OneCopy(MIB), restriction=NO_LIBRARY),
    Row("queue-array-1m", "Queue, ndarray of 1 MiB", _volume("array queue", array_of(MIB)), _array_target("memcpy-1m")),
    Row("pipe-array-1m", "Pipe, ndarray of 1 MiB", _volume("pipe", array_of(MIB)), _array_target("memcpy-1m")),
    Row("memcpy-32m", "32 MiB copied once, one process: the limit", OneCopy(32 * MIB), restriction=NO_LIBRARY),
    Row(
        "queue-array-32m",
        "Queue, ndarray of 32 MiB",
        _volume("array queue", array_of(32 * MIB)),
        _array_target("memcpy-32m"),
    ),
    Row("pipe-array-32m", "Pipe, ndarray of 32 MiB", _volume("pipe", array_of(32 * MIB)), _array_target("memcpy-32m")),
    Row("queue-array-12m", "Queue, ndarray of 12 MiB", _volume("array queue", array_of(12 * MIB)), TimesBetter(20)),
    Row(
        "queue-mixed",
        "Queue, dict of 3 ndarrays of 4 MiB and small fields",
        _volume("queue", arrays_in_a_dict(3, 4 * MIB)),
        ShareOfRow(1 / 1.3, "queue-array-12m"),
    ),
    Row("lent-1m", "Queue, ndarray of 1 MiB built in place (where offered)", Lending(MIB)),
    Row(
        "lent-32m",
        "the same, 32 MiB",
        Lending(32 * MIB),
        Both(TimesBetter(500), ShareOfRow(0.5, "lent-1m")),
    ),
    Row("share-1", "an ndarray of 32 MiB to 1 reader, shared", FanOut(array_of(32 * MIB), 1)),
    Row(
        "share-8",
        "the same to 8 readers, all bytes together",
        FanOut(array_of(32 * MIB), 8),
        Both(TimesBetter(8), ShareOfRow(5, "share-1")),
    ),
    Row(
        "burst-1g",
        "resident 1 s after 1 GiB was queued and taken",
        Burst(array_of(32 * MIB)),
        AtMost(64 * MIB, BYTES),
        Fixed(32, 8, most_rounds=2),
    ),
    Row("create-queue", "create and drop a Queue", Creation(), TimesBetter(3)),
    Row("lock", "Lock acquire and release", Primitive("lock"), TimesBetter(1)),
    Row("semaphore", "Semaphore acquire and release", Primitive("semaphore"), TimesBetter(1)),
    Row("event-set", "Event.set", Primitive("event.set"), TimesBetter(8)),
    Row("event-is-set", "Event.is_set", Primitive("event.is_set"), TimesBetter(8)),
    Row("notify", "Condition.notify, nobody waits", Primitive("condition.notify"), TimesBetter(8)),
    Row("value-locked", "Value += 1 under its lock", Primitive("value"), TimesBetter(1.5)),
    Row("value-atomic", "Value.add(1) (where offered)", Primitive("atomic"), TimesBetter(10)),
    Row("array-item", "reading an item of an Array", Primitive("array item"), TimesBetter(1)),
    Row("create-lock", "create and drop a Lock", Primitive("create lock"), TimesBetter(10)),
    Row("create-value", "create and drop a Value", Primitive("create value"), TimesBetter(4)),
    Row("manager-dict", "one call to a Manager's dict, 2 free cores", Managed("set and get"), TimesBetter(2)),
    Row(
        "manager-one-core",
        "one call to a Manager's dict, one core",
        Managed("set and get", one_core=True),
        TimesBetter(2),
    ),
    Row("manager-create", "create and drop a dict in a Manager", Managed("create"), TimesBetter(10)),
    Row("pool-map", "Pool.map, one task for an int", Pooled("map"), TimesBetter(4)),
    Row("pool-imap-unordered", "Pool.imap_unordered, same", Pooled("imap_unordered"), TimesBetter(4)),
    Row(
        "pool-array-8m", "Pool.map, one task for an ndarray of 8 MiB", Pooled("map", array_of(8 * MIB)), TimesBetter(10)
    ),
    Row("import", "import, on top of a bare interpreter", Importing(), TimesTheTime(1.3)),
    Row("growth-1m", "put 1 M ints, get them: one message", Backlog(), fixed=Fixed(1_000_000, 100_000)),
    Row(
        "growth-10m",
        "put 10 M ints, get them: one message",
        Backlog(),
        LikeRow(1.25, "growth-1m"),
        Fixed(10_000_000, 1_000_000),
        FAST_ENOUGH,
    ),
    Row("idle-64", "64 idle consumers of a Queue", Idle(64), AtMost(0.01, CORE_SHARE), Fixed(3, 1)),
    *(
        Row(f"start-{method}", f"Process start and join, {method}", Starting(method))
        for method in ("fork", "forkserver", "spawn")
    ),
)
