"""What can be measured of a peer. Each experiment is a frozen record whose `measure` runs inside a trial."""

from interproc.bench.experiments.alone import Backlog, Burst, Copying, Creation, OneCopy, PutGet
from interproc.bench.experiments.experiment import Experiment
from interproc.bench.experiments.fan_out import FanOut
from interproc.bench.experiments.flow import Flow
from interproc.bench.experiments.idle import Idle
from interproc.bench.experiments.lending import Lending
from interproc.bench.experiments.pooled import Pooled
from interproc.bench.experiments.primitives import Primitive
from interproc.bench.experiments.round_trip import RoundTrip
from interproc.bench.experiments.served import Managed
from interproc.bench.experiments.startup import Importing, Starting

__all__ = [
    "Backlog",
    "Burst",
    "Copying",
    "Creation",
    "Experiment",
    "FanOut",
    "Flow",
    "Idle",
    "Importing",
    "Lending",
    "Managed",
    "OneCopy",
    "Pooled",
    "Primitive",
    "PutGet",
    "RoundTrip",
    "Starting",
]
