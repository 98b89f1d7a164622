"""Flow: messages in one direction, as fast as they go."""

from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from itertools import repeat
from typing import Literal

from interproc.bench.crew import run_together
from interproc.bench.payloads import Payload
from interproc.bench.peers import Link, Peer, Traffic
from interproc.bench.trial import Sample
from interproc.bench.units import BYTES_PER_SECOND, MESSAGES_PER_SECOND, Unit

END = None
WARM_UP_ROUNDS = 2


@dataclass(frozen=True)
class Flow:
    """`count` messages from each producer to the consumers together.

    Timed from the first producer's start to the last consumer's end. Consumers take the messages and do not look into
    them. Where there are several, nobody knows how many messages each will get: then every producer ends with one END
    for each consumer, and a consumer is through when it has taken as many as there are producers.
    """

    payload: Payload
    needs: Literal["queue", "array queue", "pipe"] = "queue"
    workers: int = 1
    """Producers, and as many consumers."""
    batch: int = 1
    unit: Unit = MESSAGES_PER_SECOND

    def __post_init__(self) -> None:
        if self.workers > 1 and (self.payload.raw or self.batch > 1):
            raise ValueError("several consumers need messages that END can be told from, one by one")

    @property
    def first_count(self) -> int:
        """The payload's."""
        return self.payload.first_count

    def measure(self, peer: Peer, count: int) -> Sample:
        """Sends `count` messages from each producer, rounded up to whole batches."""
        batches = -(-count // self.batch)
        link = self._link(peer, batches * self.batch)
        producers = [partial(self._producing, link, batches) for _ in range(self.workers)]
        consumers = [partial(self._consuming, link, batches * self.batch, index) for index in range(self.workers)]
        laps = run_together([*producers, *consumers])
        elapsed_s = max(lap.end_s for lap in laps[self.workers :]) - min(lap.start_s for lap in laps[: self.workers])
        messages = batches * self.batch * self.workers
        amount = messages * (self.payload.message_bytes if self.unit is BYTES_PER_SECOND else 1)
        return Sample(amount / elapsed_s, elapsed_s)

    def _link(self, peer: Peer, count: int) -> Link:
        traffic = Traffic(
            message_bytes=self.payload.message_bytes,
            raw=self.payload.raw,
            capacity=self.payload.capacity,
            consumers=self.workers,
        )
        return peer.pipe(traffic) if self.needs == "pipe" else peer.queue(traffic)

    def _producing(self, link: Link, batches: int) -> Callable[[], None]:
        producer = link.producer()
        item = self.payload.make()
        put, put_many = producer.put, producer.put_many
        for _ in range(self._warm_up_count):
            put(item)

        def one_by_one() -> None:
            for each in repeat(item, batches):
                put(each)
            for _ in range(self.workers if self.workers > 1 else 0):
                put(END)

        def in_batches() -> None:
            items = [item] * self.batch
            for each in repeat(items, batches):
                put_many(each)

        return one_by_one if self.batch == 1 else in_batches

    def _consuming(self, link: Link, count: int, index: int) -> Callable[[], None]:
        consumer = link.consumer(index)
        get, get_many = consumer.get, consumer.get_many
        for _ in range(self._warm_up_count):
            get()

        def one_by_one() -> None:
            for _ in repeat(None, count):
                get()

        def in_batches() -> None:
            left = count
            while left:
                left -= len(get_many(min(self.batch, left)))

        def until_the_end() -> None:
            for _ in range(self.workers):
                deque(iter(get, END), maxlen=0)

        if self.workers > 1:
            return until_the_end
        return one_by_one if self.batch == 1 else in_batches

    @property
    def _warm_up_count(self) -> int:
        """Connects and warms both sides; a multiple of the workers, since sockets deal out in turn."""
        return self.workers * WARM_UP_ROUNDS
