"""
The stream of one connection, taken apart: ours to us, everything else to aiormq.

Law: of a channel that was given to us, deliveries and returned messages (each a method frame, a
header frame and frames with the body) and confirmations are ours; all other methods, and whatever
belongs to other channels, go on in whole frames, unchanged and in order. What breaks the rules of
the protocol ends the stream: nothing that follows can be trusted.

A data channel must not be asked for single messages (``basic.get``): their content would have no
owner.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from typing import Protocol

from . import frames
from .frames import BODY, END_BYTE, HEADER, HEARTBEAT, METHOD

# No frame of a connection that is being opened is larger; RabbitMQ's first has about 500 bytes.
_FIRST_FRAME_MAX = 1024 * 1024

#: The largest that can be announced: for a broker that sets no limit.
NO_FRAME_MAX = 2**32 + frames.OVERHEAD

_KINDS = frozenset((METHOD, HEADER, BODY, HEARTBEAT))
_OURS = frozenset((frames.BASIC_DELIVER, frames.BASIC_RETURN, frames.BASIC_ACK, frames.BASIC_NACK))
_CLOSES = frozenset((frames.CHANNEL_CLOSE, frames.CHANNEL_CLOSE_OK))

_frame_head = struct.Struct(">BHI").unpack_from
_body_size = struct.Struct(">Q").unpack_from
_tag_and_bits = struct.Struct(">QB").unpack_from

# Payload of a header frame: class, weight, size of the body, and the properties.
_BODY_SIZE_AT = 4
_SMALLEST_HEADER = 12


class StreamError(Exception):
    """The bytes that arrived are not what the protocol allows."""


class DataChannel(Protocol):
    """Who takes what belongs to one data channel. None of these may raise."""

    def on_deliver(
        self, consumer: bytes, tag: int, redelivered: bool, header: bytes, body: bytes
    ) -> None:
        """A message for a consumer; ``header`` is the payload of its header frame."""

    def on_return(self, exchange: str, key: str, header: bytes, body: bytes) -> None:
        """A message that no queue took."""

    def on_confirm(self, tag: int, multiple: bool, taken: bool) -> None:
        """The broker has, or could not take, a message, or all up to it."""


class Link(Protocol):
    """Who hears what concerns the whole connection."""

    def on_blocked(self, blocked: bool) -> None:
        """The broker takes no messages any more, or takes them again."""

    def on_closing(self) -> None:
        """The broker closes the connection, or one of the data channels."""


class _Content:
    """A message whose frames are arriving."""

    __slots__ = ("chunks", "header", "method", "missing")

    def __init__(self, method: bytes) -> None:
        self.method = method
        self.header: bytes | None = None
        self.missing = 0
        self.chunks: list[bytes | memoryview] = []

    def add(self, chunk: bytes | memoryview) -> None:
        if self.header is None:
            raise StreamError("a body before its header")
        self.missing -= len(chunk)
        if self.missing < 0:
            raise StreamError("a body longer than announced")
        self.chunks.append(chunk)

    def body(self) -> bytes:
        return b"".join(self.chunks)


class Splitter:
    """
    Take the stream apart, whatever pieces it comes in.

    Args:
        pass_on: Called with whole frames that are not ours.
        link: Told about the connection.

    Attributes:
        frame_max: Largest frame that was agreed upon, in bytes.
        channels: Who takes what belongs to a data channel, by its number.
    """

    def __init__(self, pass_on: Callable[[bytes], object], link: Link) -> None:
        self.frame_max = _FIRST_FRAME_MAX
        self.channels: dict[int, DataChannel] = {}
        self._pass_on = pass_on
        self._link = link
        self._rest = b""
        # Messages whose frames are arriving; frames of other channels may fall between.
        self._contents: dict[int, _Content] = {}
        # A body frame cut by the end of what was read: its channel, and what its payload lacks.
        # It can be large, so what is there is taken, and not kept to be joined.
        self._cut = 0
        self._cut_missing = 0

    def feed(self, data: bytes) -> None:
        """
        Take what was read.

        Raises:
            StreamError: It breaks the protocol; what came before that was handed over.
        """
        start = 0
        if self._cut:
            start = self._go_on(data)
        elif self._rest:
            data = self._rest + data
            self._rest = b""
        self._split(data, start)

    def _split(self, data: bytes, at: int) -> None:
        # From `passed` to `at` are whole frames for aiormq.
        passed = at
        end = len(data)
        limit = self.frame_max - frames.OVERHEAD
        channels = self.channels
        try:
            while end - at >= 7:
                kind, number, size = _frame_head(data, at)
                if size > limit or kind not in _KINDS:
                    raise _not_a_frame(data[at : at + 8])
                after = at + 8 + size
                channel = channels.get(number)
                if after > end:
                    if kind == BODY and channel is not None:
                        self._pass(data, passed, at)
                        passed = end
                        self._cut_body(data, at, number, size)
                        at = end
                    break
                if data[after - 1] != END_BYTE:
                    raise StreamError("a frame without an end")
                if channel is None:
                    if kind == METHOD and not number:
                        self._watch(data[at + 7 : at + 11])
                elif kind != METHOD or data[at + 7 : at + 11] in _OURS:
                    if passed < at:
                        self._pass(data, passed, at)
                    passed = end  # in case the next line raises
                    after = passed = self._take(channel, number, kind, data, at, after)
                else:
                    self._let_pass(number, data[at + 7 : at + 11])
                at = after
        finally:
            self._pass(data, passed, at)
        self._rest = data[at:]

    def _pass(self, data: bytes, start: int, end: int) -> None:
        if start < end:
            self._pass_on(data[start:end])

    def _watch(self, method: bytes) -> None:
        """Look at a method of the connection that goes to aiormq."""
        if method == frames.CONNECTION_BLOCKED:
            self._link.on_blocked(True)
        elif method == frames.CONNECTION_UNBLOCKED:
            self._link.on_blocked(False)
        elif method == frames.CONNECTION_CLOSE:
            self._link.on_closing()

    def _let_pass(self, number: int, method: bytes) -> None:
        """Look at a method of a data channel that goes to aiormq."""
        if method in _CLOSES:
            self._contents.pop(number, None)
            self._link.on_closing()
        elif number in self._contents:
            raise StreamError("a method in the midst of a message")

    # -- what is ours --------------------------------------------------------------------------

    def _take(
        self, channel: DataChannel, number: int, kind: int, data: bytes, at: int, after: int
    ) -> int:
        """Take a frame; return where the next one begins."""
        content = self._contents.get(number)
        if kind == METHOD:
            if content is not None:
                raise StreamError("a method in the midst of a message")
            method = data[at + 7 : after - 1]
            if method.startswith(frames.BASIC_DELIVER):
                done = self._take_whole(channel, number, method, data, after)
                if done:
                    return done
            elif not method.startswith(frames.BASIC_RETURN):
                self._confirm(channel, method)
                return after
            self._contents[number] = _Content(method)
            return after
        if content is None:
            raise StreamError("a part of a message that has no beginning")
        if kind == BODY:
            content.add(memoryview(data)[at + 7 : after - 1])
        elif kind == HEADER:
            _set_header(content, data[at + 7 : after - 1])
        else:
            raise StreamError("a heartbeat of a channel")
        if not content.missing:
            self._finish(channel, number, content)
        return after

    @staticmethod
    def _confirm(channel: DataChannel, method: bytes) -> None:
        if len(method) < 13:
            raise StreamError("a confirmation that is cut short")
        tag, bits = _tag_and_bits(method, 4)
        channel.on_confirm(tag, bool(bits & 1), method.startswith(frames.BASIC_ACK))

    def _take_whole(
        self, channel: DataChannel, number: int, method: bytes, data: bytes, at: int
    ) -> int:
        """
        Take header and body of a delivery at once; return where they end.

        0 if they are not all here, or the body is empty or has several frames, or they are not
        what belongs here: then they are taken one by one.
        """
        end = len(data)
        limit = self.frame_max - frames.OVERHEAD
        if end - at < 7 + _SMALLEST_HEADER:
            return 0
        kind, owner, size = _frame_head(data, at)
        body_at = at + 8 + size
        if kind != HEADER or owner != number or size < _SMALLEST_HEADER or end - body_at < 7:
            return 0
        (missing,) = _body_size(data, at + 7 + _BODY_SIZE_AT)
        kind, owner, body_size = _frame_head(data, body_at)
        done: int = body_at + 8 + body_size
        if (
            kind != BODY
            or owner != number
            or body_size != missing
            or not missing
            or size > limit
            or body_size > limit
            or done > end
            or data[body_at - 1] != END_BYTE
            or data[done - 1] != END_BYTE
        ):
            return 0
        _deliver(channel, method, data[at + 7 : body_at - 1], data[body_at + 7 : done - 1])
        return done

    def _finish(self, channel: DataChannel, number: int, content: _Content) -> None:
        del self._contents[number]
        assert content.header is not None
        if content.method.startswith(frames.BASIC_DELIVER):
            _deliver(channel, content.method, content.header, content.body())
            return
        try:
            exchange, key = frames.read_route(content.method)
        except ValueError as exc:
            raise StreamError(f"a returned message without a route: {exc}") from exc
        channel.on_return(exchange, key, content.header, content.body())

    # -- a body frame that comes in pieces -----------------------------------------------------

    def _cut_body(self, data: bytes, at: int, number: int, size: int) -> None:
        chunk = memoryview(data)[at + 7 : at + 7 + size]
        content = self._contents.get(number)
        if content is None:
            raise StreamError("a part of a message that has no beginning")
        content.add(chunk)
        self._cut = number
        self._cut_missing = size - len(chunk)

    def _go_on(self, data: bytes) -> int:
        """Take more of the frame that was cut; return where the next one begins."""
        content = self._contents[self._cut]
        missing = self._cut_missing
        content.add(memoryview(data)[:missing])
        if len(data) <= missing:  # its end, at the least, is still to come
            self._cut_missing -= len(data)
            return len(data)
        if data[missing] != END_BYTE:
            raise StreamError("a frame without an end")
        number, self._cut = self._cut, 0
        if not content.missing:
            self._finish(self.channels[number], number, content)
        return missing + 1


def _set_header(content: _Content, header: bytes) -> None:
    if content.header is not None:
        raise StreamError("a second header")
    if len(header) < _SMALLEST_HEADER:
        raise StreamError("a header that is cut short")
    content.header = header
    content.missing = _body_size(header, _BODY_SIZE_AT)[0]


def _deliver(channel: DataChannel, method: bytes, header: bytes, body: bytes) -> None:
    # Class and method, consumer tag (its length in one byte), delivery tag, bits, and the route.
    if len(method) < 5 or len(method) < 14 + method[4]:
        raise StreamError("a delivery that is cut short")
    after = 5 + method[4]
    tag, bits = _tag_and_bits(method, after)
    channel.on_deliver(method[5:after], tag, bool(bits & 1), header, body)


def _not_a_frame(data: bytes) -> StreamError:
    if data.startswith(b"AMQP"):
        return StreamError("the broker does not speak AMQP 0-9-1")
    return StreamError(f"this is no frame, or a larger one than agreed upon: {data!r}")
