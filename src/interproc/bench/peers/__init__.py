"""The libraries that are compared, each behind the few calls that the experiments need."""

from interproc.bench.peers.by_hand import ByHand
from interproc.bench.peers.fifo import FasterFifo
from interproc.bench.peers.peer import Consumer, Duplex, Link, Offer, Peer, Producer, Traffic, Workers
from interproc.bench.peers.pools import Loky, Mpire, Pebble
from interproc.bench.peers.standard import Interproc, Multiprocessing
from interproc.bench.peers.zeromq import ZeroMQ

PEERS: tuple[Peer, ...] = (
    Multiprocessing(),
    Interproc(),
    FasterFifo(),
    ZeroMQ(),
    ByHand(),
    Loky(),
    Pebble(),
    Mpire(),
)

__all__ = ["PEERS", "Consumer", "Duplex", "Link", "Offer", "Peer", "Producer", "Traffic", "Workers"]
