"""Every experiment comes to an end with every peer that is installed and offers what it needs."""

import pytest

from interproc.bench.experiments import (
    Backlog,
    Burst,
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
    PutGet,
    RoundTrip,
    Starting,
)
from interproc.bench.experiments.round_trip import PERCENTILES, percentiles
from interproc.bench.payloads import DICT, INT, KIB, MIB, array_of, arrays_in_a_dict, bytes_of
from interproc.bench.peers import PEERS, Peer
from interproc.bench.trial import run_trial
from interproc.bench.units import BYTES_PER_SECOND

LIMIT_S = 45.0
EXPERIMENTS: dict[str, tuple[Experiment, int]] = {
    "put and get": (PutGet("queue"), 10),
    "simple queue": (PutGet("simple_queue"), 10),
    "ints": (Flow(INT), 100),
    "batches": (Flow(INT, batch=64), 100),
    "dicts": (Flow(DICT), 100),
    "3 to 3": (Flow(INT, workers=3), 50),
    "queue of bytes": (Flow(bytes_of(64 * KIB), unit=BYTES_PER_SECOND), 5),
    "pipe of bytes": (Flow(bytes_of(64 * KIB), "pipe", unit=BYTES_PER_SECOND), 5),
    "queue of arrays": (Flow(array_of(2 * MIB), "array queue", unit=BYTES_PER_SECOND), 12),
    "queue of dicts of arrays": (Flow(arrays_in_a_dict(2, MIB), unit=BYTES_PER_SECOND), 3),
    "fan out": (FanOut(array_of(MIB), 3), 12),
    "lending": (Lending(MIB), 12),
    "burst": (Burst(array_of(MIB)), 4),
    "one copy": (OneCopy(MIB), 3),
    "pipe of arrays": (Flow(array_of(2 * MIB), "pipe", unit=BYTES_PER_SECOND), 3),
    "queue round trip": (RoundTrip("queue"), 20),
    "pipe round trip": (RoundTrip("pipe"), 20),
    "one core asleep": (RoundTrip("queue", "asleep", one_core=True), 3),
    "distribution": (RoundTrip("pipe", "distribution"), 20),
    "backlog": (Backlog(), 100),
    "creation": (Creation(), 3),
    "managed dict": (Managed("set and get"), 3),
    "managed dicts": (Managed("create", one_core=True), 3),
    "pool": (Pooled("map"), 3),
    "pool in any order": (Pooled("imap_unordered"), 3),
    "pool of arrays": (Pooled("map", array_of(2 * MIB)), 3),
    "importing": (Importing(), 1),
    "idle": (Idle(2), 1),
    "fork": (Starting("fork"), 1),
    "spawn": (Starting("spawn"), 1),
}


@pytest.mark.parametrize("peer", PEERS, ids=lambda peer: peer.name)
@pytest.mark.parametrize(("experiment", "count"), EXPERIMENTS.values(), ids=EXPERIMENTS)
def test_experiment_ends(experiment: Experiment, count: int, peer: Peer) -> None:
    pytest.importorskip(peer.module)
    if experiment.needs not in peer.offers:
        pytest.skip(f"{peer.name} has no {experiment.needs}")
    sample = run_trial(lambda: experiment.measure(peer, count), LIMIT_S)
    assert sample.elapsed_s > 0


def test_distribution_has_its_percentiles() -> None:
    sample = run_trial(lambda: RoundTrip("pipe", "distribution").measure(PEERS[0], 20), LIMIT_S)
    assert list(sample.details) == list(PERCENTILES)
    assert sample.details["p50"] <= sample.details["p99"] <= sample.details["p99.9"]


def test_percentiles_are_values_that_occurred() -> None:
    assert percentiles(range(1000)) == {"p50": 500, "p99": 990, "p99.9": 999}
    assert percentiles([7.0]) == {"p50": 7.0, "p99": 7.0, "p99.9": 7.0}


def test_flow_refuses_what_it_cannot_tell_the_end_of() -> None:
    with pytest.raises(ValueError, match="END"):
        Flow(bytes_of(8), workers=2)
