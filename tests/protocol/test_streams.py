"""Streams: over a link that drops and doubles, the consumer sees what a local generator yields."""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Generator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from atasks_ng.protocol.envelopes import Item, Pull
from atasks_ng.protocol.streams import AGAIN, CLOSE, NEXT, SEND, THROW, Consumer, Producer
from atasks_ng.words.errors import BadMessageError


def producer_of(limit: int = 1) -> Producer:
    return Producer("id", "run", "address", limit)


def item(number: int, run: str = "run") -> Item:
    return Item("id", run, number, "address", None, b"%d" % number)


def pull(verb: str = NEXT, turn: int = 0, seen: int = 0, limit: int = 1) -> Pull:
    return Pull("id", verb, turn, seen, limit, None, b"")


# -- the consumer --------------------------------------------------------------------------------


def test_consumer_takes_items_in_order_and_once() -> None:
    consumer = Consumer(3)

    accepted = [consumer.accept(item(number)) for number in (1, 1, 3, 2, 3)]

    assert accepted == [True, False, False, True, True]
    taken = [consumer.take() for _ in range(4)]
    assert taken == [item(1), item(2), item(3), None]


def test_consumer_knows_items_of_another_run() -> None:
    consumer = Consumer(1)
    assert not consumer.is_of_another_run(item(1))
    consumer.accept(item(1))

    assert consumer.is_of_another_run(item(2, "another"))
    assert not consumer.is_of_another_run(item(2))


def test_pull_lets_the_producer_be_a_window_ahead_of_what_was_taken() -> None:
    consumer = Consumer(5)
    for number in (1, 2, 3):
        consumer.accept(item(number))
    consumer.take()

    asked = consumer.pull("id")

    assert (asked.seen, asked.limit) == (3, 1 + 5)


def test_what_is_sent_in_is_numbered() -> None:
    consumer = Consumer(1)

    turns = [consumer.pull("id", verb).turn for verb in (SEND, NEXT, THROW, AGAIN, CLOSE)]

    assert turns == [1, 0, 2, 0, 3]


def test_last_pull_is_what_has_to_be_said_again() -> None:
    consumer = Consumer(1)
    sent = consumer.pull("id", SEND, b"value")

    consumer.pull("id", AGAIN)

    assert consumer.last_pull is sent


def test_discarded_items_are_not_taken_later() -> None:
    consumer = Consumer(3)
    for number in (1, 2, 3):
        consumer.accept(item(number))
    consumer.take()

    consumer.discard()

    assert consumer.take() is None
    assert consumer.pull("id", THROW).limit == 3 + 3


@pytest.mark.parametrize(
    ("window", "taken", "owes"), [(1, 1, False), (4, 1, False), (4, 2, True), (5, 3, True)]
)
def test_consumer_gives_credit_when_half_the_window_is_taken(
    window: int, taken: int, owes: bool
) -> None:
    consumer = Consumer(window)
    for number in range(1, window + 1):
        consumer.accept(item(number))

    for _ in range(taken):
        consumer.take()

    assert consumer.owes_much is owes


# -- the producer --------------------------------------------------------------------------------


def steps_until_it_waits(producer: Producer) -> list[str]:
    verbs = []
    while (step := producer.next_step()) is not None:
        verbs.append(step.verb)
        producer.yielded(b"", None)
    return verbs


def test_producer_stops_at_the_limit() -> None:
    assert steps_until_it_waits(producer_of(3)) == [NEXT] * 3


def test_pull_moves_the_limit() -> None:
    producer = producer_of(1)
    steps_until_it_waits(producer)

    producer.pulled(pull(seen=1, limit=3))

    assert steps_until_it_waits(producer) == [NEXT] * 2


def test_pull_that_comes_twice_moves_nothing_twice() -> None:
    producer = producer_of(1)
    steps_until_it_waits(producer)

    for _ in range(2):
        producer.pulled(pull(SEND, turn=1, seen=1, limit=2))

    assert steps_until_it_waits(producer) == [SEND]


def test_pull_that_comes_late_does_not_move_the_limit_back() -> None:
    producer = producer_of(1)
    steps_until_it_waits(producer)
    producer.pulled(pull(seen=1, limit=3))

    producer.pulled(pull(limit=1))

    assert steps_until_it_waits(producer) == [NEXT] * 2


def test_what_was_not_seen_is_sent_again() -> None:
    producer = producer_of(3)
    for number in (1, 2, 3):
        producer.next_step()
        producer.yielded(b"%d" % number, None)

    assert producer.pulled(pull(AGAIN, seen=1, limit=3)) == [item(2), item(3)]


def test_asking_again_does_not_move_the_generator() -> None:
    # What was to be sent in is lost, and comes behind this.
    producer = producer_of(1)
    steps_until_it_waits(producer)

    producer.pulled(pull(AGAIN, seen=1, limit=2))

    assert producer.next_step() is None


@pytest.mark.parametrize(
    "hostile", [pull("fly"), pull(seen=2), pull(seen=-1), pull("", seen=0)], ids=repr
)
def test_pull_that_fits_no_stream_is_refused(hostile: Pull) -> None:
    with pytest.raises(BadMessageError, match="fits no stream"):
        producer_of().pulled(hostile)


# -- both, joined by a fake link -----------------------------------------------------------------


class Thrown(Exception):
    """Thrown into the generator, which goes on."""


def body() -> Generator[str, str | None, None]:
    """Yield how often it moved, and what made it move."""
    heard: str | None = None
    number = 0
    while True:
        number += 1
        try:
            heard = yield f"{number} {heard}"
        except Thrown:
            heard = "thrown"


def move(generator: Generator[str, str | None, None], step: Pull) -> str:
    if step.verb == THROW:
        return generator.throw(Thrown)
    return generator.send(step.payload.decode() if step.verb == SEND else None)


class Link:
    """Two queues that drop and double; what is in order stays in order."""

    def __init__(self, chance: random.Random, faults: float) -> None:
        self._chance = chance
        self._faults = faults
        self.pulls: deque[Pull] = deque()
        self.items: deque[Item] = deque()

    def send(self, queue: deque[Any], envelope: Any) -> None:
        for _ in range(self._copies()):
            queue.append(envelope)

    def _copies(self) -> int:
        if self._chance.random() >= self._faults:
            return 1
        return self._chance.choice([0, 2])

    def cut(self) -> None:
        self.pulls.clear()
        self.items.clear()


class Pair:
    """A consumer and a producer of ours, and the generator that one reads and the other runs."""

    def __init__(self, window: int, chance: random.Random, faults: float) -> None:
        self.link = Link(chance, faults)
        self.consumer = Consumer(window)
        self.producer = producer_of(window)
        self.generator = body()
        self._chance = chance
        self._faults = faults
        self._ahead = 0

    def ask(self, verb: str, payload: bytes = b"") -> str:
        """Do what the caller's side does for one item."""
        if verb == THROW:
            self.consumer.discard()
        if verb == NEXT and (found := self.consumer.take()) is not None:
            if self.consumer.owes_much:
                self.link.send(self.link.pulls, self.consumer.pull("id"))
            return found.payload.decode()
        self.link.send(self.link.pulls, self.consumer.pull("id", verb, payload))
        while (found := self.consumer.take()) is None:
            self._something_happens()
        return found.payload.decode()

    def _something_happens(self) -> None:
        choices = [each for each in (self._pull_arrives, self._item_arrives, self._step) if each()]
        if not choices or self._chance.random() < self._faults / 10:
            self._relink()

    def _pull_arrives(self) -> bool:
        if not self.link.pulls or self._chance.random() < 0.5:
            return bool(self.link.pulls)
        for again in self.producer.pulled(self.link.pulls.popleft()):
            self.link.send(self.link.items, again)
        return True

    def _item_arrives(self) -> bool:
        if not self.link.items or self._chance.random() < 0.5:
            return bool(self.link.items)
        self.consumer.accept(self.link.items.popleft())
        return True

    def _step(self) -> bool:
        if self._chance.random() < 0.3:
            return True
        step = self.producer.next_step()
        if step is None:
            return False
        payload = move(self.generator, step).encode()
        self.link.send(self.link.items, self.producer.yielded(payload, None))
        return True

    def _relink(self) -> None:
        """Lose what is under way, and say again what may have been lost."""
        self.link.cut()
        self.link.send(self.link.pulls, self.consumer.pull("id", AGAIN))
        assert self.consumer.last_pull is not None
        self.link.send(self.link.pulls, self.consumer.last_pull)


seeds = st.integers(0, 2**32)
verbs = st.lists(st.sampled_from([NEXT, SEND, THROW]), max_size=15)


@settings(max_examples=200)
@given(verbs, seeds, st.sampled_from([0.0, 0.2, 0.5]))
def test_consumer_sees_what_a_local_generator_yields(
    verbs: list[str], seed: int, faults: float
) -> None:
    local = body()
    pair = Pair(1, random.Random(seed), faults)

    seen = [pair.ask(NEXT)]
    expected = [next(local)]
    for number, verb in enumerate(verbs):
        payload = b"value %d" % number if verb == SEND else b""
        expected.append(move(local, Pull("id", verb, 0, 0, 0, None, payload)))
        seen.append(pair.ask(verb, payload))

    assert seen == expected


@settings(max_examples=100)
@given(
    st.integers(2, 8),
    st.integers(1, 30),
    seeds,
    st.sampled_from([0.0, 0.2, 0.5]),
)
def test_window_loses_and_doubles_nothing(
    window: int, count: int, seed: int, faults: float
) -> None:
    local = body()
    pair = Pair(window, random.Random(seed), faults)

    seen = [pair.ask(NEXT) for _ in range(count)]

    assert seen == [next(local) for _ in range(count)]


@settings(max_examples=50)
@given(st.integers(1, 8), st.integers(1, 20), seeds)
def test_producer_is_never_more_than_a_window_ahead(window: int, count: int, seed: int) -> None:
    pair = Pair(window, random.Random(seed), 0.3)

    for taken in range(1, count + 1):
        pair.ask(NEXT)
        ahead = pair.producer._number - taken
        assert ahead <= window
