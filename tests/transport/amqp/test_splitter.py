"""The splitter: the same events and the same bytes for aiormq, however the stream is cut."""

from __future__ import annotations

from typing import Any

import pamqp.frame
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pamqp import commands
from pamqp.body import ContentBody
from pamqp.header import ContentHeader
from pamqp.heartbeat import Heartbeat

from tests.transport.amqp.streams import FRAME_MAX, LIMIT, Recorder, streams

CUTS = st.lists(st.integers(0, 2000), max_size=8)


def marshal(frame: Any, channel: int = 1) -> bytes:
    data: bytes = pamqp.frame.marshal(frame, channel)
    return data


DELIVER = marshal(commands.Basic.Deliver("consumer", 7, False, "exchange", "key"))
HEADER = marshal(ContentHeader(0, 3, commands.Basic.Properties(correlation_id="id")))
BODY = marshal(ContentBody(b"abc"))
DELIVERED = ("deliver", 1, b"consumer", 7, False, HEADER[7:-1], b"abc")


@given(streams(), CUTS)
def test_splitter_parts_what_is_ours_from_what_is_not(
    stream: tuple[bytes, list[Any]], cuts: list[int]
) -> None:
    data, log = stream

    recorder = Recorder().feed(data, cuts)

    assert recorder.error is None
    # Of frames of one write, those for aiormq may be handed over after an event of the connection.
    assert _sorted_out(recorder.log) == _sorted_out(log)


def _sorted_out(log: list[Any]) -> tuple[bytes, list[Any], list[Any]]:
    connection = ("blocked", "closing")
    return (
        b"".join(entry[1] for entry in log if entry[0] == "passed"),
        [entry for entry in log if entry[0] in connection],
        [entry for entry in log if entry[0] != "passed" and entry[0] not in connection],
    )


@given(streams())
def test_splitter_does_not_mind_single_bytes(stream: tuple[bytes, list[Any]]) -> None:
    data, log = stream

    recorder = Recorder().feed(data, list(range(len(data))))

    assert _sorted_out(recorder.log) == _sorted_out(log)


@given(streams(), CUTS, st.data())
def test_splitter_does_the_same_with_a_damaged_stream_however_it_is_cut(
    stream: tuple[bytes, list[Any]], cuts: list[int], data: st.DataObject
) -> None:
    damaged = bytearray(stream[0])
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(damaged)))
        new = data.draw(st.binary(max_size=9))
        damaged[at : at + data.draw(st.integers(0, 9))] = new

    whole = Recorder().feed(bytes(damaged))
    parts = Recorder().feed(bytes(damaged), cuts)

    assert (parts.error is None) == (whole.error is None)
    assert _sorted_out(parts.log) == _sorted_out(whole.log)


@given(st.binary(max_size=200), CUTS)
@example(b"AMQP\x00\x00\x09\x01", [])
def test_splitter_takes_nothing_but_errors_from_noise(noise: bytes, cuts: list[int]) -> None:
    whole = Recorder().feed(noise)
    parts = Recorder().feed(noise, cuts)

    assert (parts.error is None) == (whole.error is None)
    assert _sorted_out(parts.log) == _sorted_out(whole.log)


@given(st.integers(1, 5 * LIMIT), CUTS)
def test_splitter_joins_a_body_of_several_frames(size: int, cuts: list[int]) -> None:
    body = bytes(i % 256 for i in range(size))
    header = marshal(ContentHeader(0, size, commands.Basic.Properties()))
    chunks = [marshal(ContentBody(body[at : at + LIMIT])) for at in range(0, size, LIMIT)]

    recorder = Recorder().feed(DELIVER + header + b"".join(chunks), cuts)

    assert [entry[-1] for entry in recorder.log] == [body]


def test_splitter_waits_for_the_body() -> None:
    recorder = Recorder()

    recorder.feed(DELIVER)
    recorder.feed(HEADER)
    assert recorder.log == []
    recorder.feed(BODY)

    assert recorder.log == [DELIVERED]


def test_splitter_tells_of_a_channel_that_is_closed() -> None:
    close = marshal(commands.Channel.Close(404, "NOT_FOUND", 0, 0))
    other = marshal(commands.Channel.Close(404, "NOT_FOUND", 0, 0), 3)

    recorder = Recorder().feed(other + DELIVER + HEADER + close + DELIVER)

    # A message that was under way is forgotten with the channel.
    assert recorder.error is None
    assert recorder.log == [("passed", other), ("closing",), ("passed", close)]


@pytest.mark.parametrize(
    ("stream", "error"),
    [
        pytest.param(HEADER, "no beginning", id="header first"),
        pytest.param(BODY, "no beginning", id="body first"),
        pytest.param(DELIVER + BODY, "before its header", id="body before header"),
        pytest.param(DELIVER + DELIVER, "in the midst", id="two methods"),
        pytest.param(
            DELIVER + marshal(commands.Basic.QosOk()), "in the midst", id="an answer in the midst"
        ),
        pytest.param(DELIVER + HEADER + HEADER, "second header", id="two headers"),
        pytest.param(DELIVER + HEADER + BODY + BODY, "no beginning", id="two bodies"),
        pytest.param(
            DELIVER + HEADER + marshal(ContentBody(b"abcd")), "longer", id="too much of a body"
        ),
        pytest.param(DELIVER + HEADER + BODY[:-1] + b"\x00", "without an end", id="no end"),
        pytest.param(b"\x07" + BODY[1:], "no frame", id="unknown type"),
        pytest.param(marshal(ContentBody(b"x" * (LIMIT + 1))), "larger", id="too large"),
        pytest.param(DELIVER + b"\x08" + HEADER[1:], "heartbeat", id="heartbeat of a channel"),
        pytest.param(b"AMQP\x00\x01\x00\x00", "AMQP 0-9-1", id="another protocol"),
        pytest.param(
            b"\x01\x00\x01\x00\x00\x00\x04\x00\x3c\x00\x3c\xce" + HEADER + BODY,
            "cut short",
            id="delivery cut short",
        ),
        pytest.param(
            b"\x01\x00\x01\x00\x00\x00\x04\x00\x3c\x00\x32\xce" + HEADER + BODY,
            "without a route",
            id="return cut short",
        ),
        pytest.param(
            b"\x01\x00\x01\x00\x00\x00\x04\x00\x3c\x00\x50\xce", "cut short", id="ack cut short"
        ),
        pytest.param(
            DELIVER + b"\x02\x00\x01\x00\x00\x00\x02\x00\x3c\xce",
            "cut short",
            id="header cut short",
        ),
    ],
)
@pytest.mark.parametrize("bytewise", [False, True])
def test_splitter_refuses(stream: bytes, error: str, bytewise: bool) -> None:
    beat = marshal(Heartbeat(), 0)
    data = beat + stream

    recorder = Recorder().feed(data, list(range(len(data))) if bytewise else [])

    assert recorder.error is not None
    assert error in recorder.error
    assert recorder.log[0] == ("passed", beat)
    assert all(entry[0] != "deliver" or entry == DELIVERED for entry in recorder.log)


def test_splitter_keeps_no_frame_that_is_too_large() -> None:
    head = b"\x03\x00\x01\xff\xff\xff\xff"

    recorder = Recorder().feed(head)

    assert recorder.error is not None


def test_splitter_takes_frames_as_large_as_agreed_upon() -> None:
    body = b"x" * LIMIT
    header = marshal(ContentHeader(0, LIMIT, commands.Basic.Properties()))
    frame = marshal(ContentBody(body))
    assert len(frame) == FRAME_MAX

    recorder = Recorder().feed(DELIVER + header + frame)

    assert recorder.log[0][-1] == body
