"""Streams of frames for the fuzz tests, with what a splitter must make of them."""

from __future__ import annotations

import dataclasses
import itertools
from typing import Any

import pamqp.frame
from hypothesis import strategies as st
from pamqp import commands
from pamqp.body import ContentBody
from pamqp.header import ContentHeader
from pamqp.heartbeat import Heartbeat

from atasks_ng.transport.backends.amqp.lane.splitter import Splitter, StreamError

#: Channels of data; of the others, everything goes to aiormq.
DATA = (1, 2)
OTHER = (0, 3)

#: Small, so that bodies of several frames are cheap.
FRAME_MAX = 128
LIMIT = FRAME_MAX - 8

TEXT = st.text(max_size=12)
SHORT = st.text(st.characters(codec="ascii"), min_size=1, max_size=20)

TABLES = st.dictionaries(
    st.text(st.characters(codec="ascii"), min_size=1, max_size=5),
    st.one_of(st.booleans(), st.integers(-(2**31), 2**31 - 1), TEXT),
    max_size=2,
)

#: Any combination of properties that a client may send.
PROPERTIES: st.SearchStrategy[commands.Basic.Properties] = st.builds(
    commands.Basic.Properties,
    content_type=st.none() | SHORT,
    content_encoding=st.none() | SHORT,
    headers=st.none() | TABLES,
    delivery_mode=st.sampled_from([None, 1, 2]),
    priority=st.none() | st.integers(0, 255),
    correlation_id=st.none() | TEXT,
    reply_to=st.none() | TEXT,
    expiration=st.none() | st.integers(0, 99).map(str),
    message_id=st.none() | SHORT,
    timestamp=st.none() | st.datetimes(timezones=st.timezones()).filter(lambda t: t.year > 1971),
    message_type=st.none() | SHORT,
    user_id=st.none() | SHORT,
    app_id=st.none() | SHORT,
)

#: Sizes of bodies, with those around one and two frames.
SIZES = st.sampled_from(
    [0, 1, 5, LIMIT - 1, LIMIT, LIMIT + 1, 2 * LIMIT - 1, 2 * LIMIT, 2 * LIMIT + 1]
)


@dataclasses.dataclass(frozen=True)
class Unit:
    """Frames of one channel that belong together, and what they are to the splitter."""

    channel: int
    frames: tuple[bytes, ...]
    event: tuple[Any, ...] | None


def _content(
    channel: int, method: Any, properties: commands.Basic.Properties, body: bytes, cuts: list[int]
) -> tuple[tuple[bytes, ...], bytes]:
    header = pamqp.frame.marshal(ContentHeader(0, len(body), properties), channel)
    frames = [pamqp.frame.marshal(method, channel), header]
    at = 0
    # Frames as long as they can be, but where a cut says otherwise.
    while at < len(body):
        size = cuts.pop() if cuts else LIMIT
        frames.append(pamqp.frame.marshal(ContentBody(body[at : at + size]), channel))
        at += size
    return tuple(frames), header[7:-1]


@st.composite
def messages(draw: st.DrawFn, channel: int) -> Unit:
    """A message to a consumer, or one that comes back."""
    body = draw(st.binary(min_size=1, max_size=1)) * draw(SIZES)
    cuts = draw(st.lists(st.integers(1, LIMIT), max_size=3))
    properties = draw(PROPERTIES)
    # What fits into a frame; a longer one would be cut by no broker.
    if len(ContentHeader(0, 0, properties).marshal()) > LIMIT:
        properties = commands.Basic.Properties(correlation_id="id")
    method: Any
    event: tuple[Any, ...]
    if draw(st.booleans()):
        tag, again = draw(st.integers(0, 2**63 - 1)), draw(st.booleans())
        consumer = draw(SHORT)
        method = commands.Basic.Deliver(consumer, tag, again, "exchange", "key")
        event = ("deliver", channel, consumer.encode(), tag, again)
    else:
        method = commands.Basic.Return(312, "NO_ROUTE", "exchange", draw(SHORT))
        event = ("return", channel, "exchange", method.routing_key)
    frames, header = _content(channel, method, properties, body, cuts)
    return Unit(channel, frames, (*event, header, body) if channel in DATA else None)


@st.composite
def confirmations(draw: st.DrawFn, channel: int) -> Unit:
    """A confirmation, positive or negative."""
    tag, multiple, taken = draw(st.integers(0, 2**63 - 1)), draw(st.booleans()), draw(st.booleans())
    make = commands.Basic.Ack if taken else commands.Basic.Nack
    frame = pamqp.frame.marshal(make(tag, multiple), channel)
    event = ("confirm", channel, tag, multiple, taken) if channel in DATA else None
    return Unit(channel, (frame,), event)


def answers(channel: int) -> st.SearchStrategy[Unit]:
    """An answer of the broker to something that aiormq asked for."""
    found: list[Any] = [
        commands.Basic.ConsumeOk("consumer"),
        commands.Basic.QosOk(),
        commands.Basic.Cancel("consumer"),
        commands.Queue.DeclareOk("queue", 1, 2),
        commands.Channel.OpenOk(),
    ]
    return st.sampled_from(found).map(
        lambda method: Unit(channel, (pamqp.frame.marshal(method, channel),), None)
    )


def of_connection() -> st.SearchStrategy[Unit]:
    """What concerns the whole connection."""
    found: list[tuple[Any, tuple[Any, ...] | None]] = [
        (Heartbeat(), None),
        (commands.Connection.UpdateSecretOk(), None),
        (commands.Connection.Blocked("low on memory"), ("blocked", True)),
        (commands.Connection.Unblocked(), ("blocked", False)),
        (commands.Connection.Close(320, "bye", 0, 0), ("closing",)),
    ]
    return st.sampled_from(found).map(
        lambda pair: Unit(0, (pamqp.frame.marshal(pair[0], 0),), pair[1])
    )


@st.composite
def streams(draw: st.DrawFn) -> tuple[bytes, list[Any]]:
    """The bytes of a stream, and the log that a splitter must write."""
    queues: list[list[tuple[bytes, Unit]]] = []
    for channel in (*DATA, *OTHER):
        kinds = (
            of_connection()
            if channel == 0
            else st.one_of(messages(channel), confirmations(channel), answers(channel))
        )
        units = draw(st.lists(kinds, max_size=3))
        queues.append([(frame, unit) for unit in units for frame in unit.frames])
    data = b""
    log: list[Any] = []
    while any(queues):
        queue = draw(st.sampled_from([queue for queue in queues if queue]))
        # A few in a row: whole messages are the common case.
        for frame, unit in [queue.pop(0) for _ in range(min(len(queue), draw(_RUNS)))]:
            data += frame
            if frame is unit.frames[-1] and unit.event is not None:
                log.append(unit.event)
            if unit.channel not in DATA or unit.event is None:
                _passed(log, frame)
    return data, log


_RUNS = st.integers(1, 5)


def _passed(log: list[Any], data: bytes) -> None:
    if log and log[-1][0] == "passed":
        log[-1] = ("passed", log[-1][1] + data)
    else:
        log.append(("passed", data))


class Recorder:
    """Writes down what a splitter does."""

    def __init__(self, frame_max: int = FRAME_MAX) -> None:
        self.log: list[Any] = []
        self.splitter = Splitter(lambda data: _passed(self.log, data), self)
        self.splitter.frame_max = frame_max
        for number in DATA:
            self.splitter.channels[number] = _Channel(number, self.log)
        self.error: str | None = None

    def feed(self, data: bytes, cuts: list[int] | None = None) -> Recorder:
        """Feed a stream, cut at these places; stop when it is found to be broken."""
        edges = [0, *sorted(min(cut, len(data)) for cut in cuts or []), len(data)]
        try:
            for start, end in itertools.pairwise(edges):
                self.splitter.feed(data[start:end])
        except StreamError as exc:
            self.error = str(exc)
        return self

    def on_blocked(self, blocked: bool) -> None:
        self.log.append(("blocked", blocked))

    def on_closing(self) -> None:
        self.log.append(("closing",))


class _Channel:
    def __init__(self, number: int, log: list[Any]) -> None:
        self._number = number
        self._log = log

    def on_deliver(
        self, consumer: bytes, tag: int, redelivered: bool, header: bytes, body: bytes
    ) -> None:
        self._log.append(("deliver", self._number, consumer, tag, redelivered, header, body))

    def on_return(self, exchange: str, key: str, header: bytes, body: bytes) -> None:
        self._log.append(("return", self._number, exchange, key, header, body))

    def on_confirm(self, tag: int, multiple: bool, taken: bool) -> None:
        self._log.append(("confirm", self._number, tag, multiple, taken))
