"""Acknowledgements: each tag once, none that is open, and every frame one that RabbitMQ takes."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from atasks_ng.transport.backends.amqp.parcels import Acks


def acks_of(*tags: int) -> Acks:
    acks = Acks()
    for tag in tags:
        acks.delivered(tag)
    return acks


def test_nothing_settled_is_nothing_to_send() -> None:
    assert acks_of(1, 2).take() == []


def test_one_tag_is_acknowledged_by_itself() -> None:
    acks = acks_of(1)

    acks.settle(1)

    assert acks.take() == [(1, False)]
    assert acks.take() == []


def test_run_from_the_start_is_one_frame() -> None:
    acks = acks_of(1, 2, 3, 4)

    for tag in (2, 1, 3):
        acks.settle(tag)

    assert acks.take() == [(3, True)]


def test_what_lies_behind_an_open_delivery_goes_one_by_one() -> None:
    acks = acks_of(1, 2, 3, 4, 5)

    for tag in (1, 2, 4, 5):
        acks.settle(tag)

    assert acks.take() == [(2, True), (4, False), (5, False)]


def test_open_delivery_holds_nobody_back() -> None:
    acks = acks_of(1, 2)

    acks.settle(2)

    assert acks.take() == [(2, False)]


def test_requeued_tag_is_not_acknowledged() -> None:
    acks = acks_of(1, 2, 3)

    acks.skip(1)
    acks.settle(2)
    acks.settle(3)

    assert acks.take() == [(3, True)]


class Channel(RuleBasedStateMachine):
    """Acks beside a small model of what RabbitMQ keeps of a channel."""

    def __init__(self) -> None:
        super().__init__()
        self.acks = Acks()
        self.tag = 0
        self.unacked: list[int] = []
        self.open: set[int] = set()
        self.settled: set[int] = set()
        self.requeued: list[int] = []

    @rule(count=st.integers(1, 5))
    def deliver(self, count: int) -> None:
        for _ in range(count):
            self.tag += 1
            self.unacked.append(self.tag)
            self.open.add(self.tag)
            self.acks.delivered(self.tag)

    @precondition(lambda self: self.open)
    @rule(data=st.data())
    def settle(self, data: st.DataObject) -> None:
        tag = data.draw(st.sampled_from(sorted(self.open)))
        self.open.remove(tag)
        self.settled.add(tag)
        self.acks.settle(tag)

    @precondition(lambda self: self.open)
    @rule(data=st.data())
    def requeue(self, data: st.DataObject) -> None:
        tag = data.draw(st.sampled_from(sorted(self.open)))
        self.open.remove(tag)
        self.requeued.append(tag)
        self.acks.skip(tag)

    @rule()
    def send(self) -> None:
        for tag in self.requeued:  # always before the acknowledgements of the same moment
            self.unacked.remove(tag)
        self.requeued.clear()
        for tag, multiple in self.acks.take():
            # RabbitMQ closes the channel for a tag that it does not know, or not any more.
            assert tag in self.unacked
            covered = [each for each in self.unacked if each <= tag] if multiple else [tag]
            assert self.settled.issuperset(covered)
            self.unacked = [each for each in self.unacked if each not in covered]
            self.settled.difference_update(covered)
        assert not self.settled, "settled, and not acknowledged"

    @invariant()
    def nothing_is_lost(self) -> None:
        assert set(self.unacked) == self.open | self.settled | set(self.requeued)


TestChannel = Channel.TestCase
TestChannel.settings = settings(max_examples=100, stateful_step_count=30)
