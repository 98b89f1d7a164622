"""Experiment: the contract of everything that can be measured."""

from typing import Protocol

from interproc.bench.peers import Offer, Peer
from interproc.bench.trial import Sample
from interproc.bench.units import Unit


class Experiment(Protocol):
    """One way to measure a peer."""

    @property
    def unit(self) -> Unit:
        """What the figure counts."""
        ...

    @property
    def needs(self) -> Offer:
        """What a peer has to offer."""
        ...

    @property
    def first_count(self) -> int:
        """The `count` to begin with, when the right one has to be found."""
        ...

    def measure(self, peer: Peer, count: int) -> Sample:
        """Does it `count` times; what that is differs. Forks and blocks, and is meant to be run by `run_trial`."""
        ...
