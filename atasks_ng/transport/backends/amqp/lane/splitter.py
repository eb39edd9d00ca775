"""
The stream of one connection, taken apart: ours to us, everything else to aiormq.

Law: of a channel that was given to us, deliveries and returned messages (each a method frame, a
header frame and frames with the body) and confirmations are ours; of every other channel, and of
all other methods, whole frames go on unchanged and in order. What breaks the rules of the protocol
ends the stream: nothing that follows can be trusted.

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

_frame_head = struct.Struct(">BHI").unpack_from
_body_size = struct.Struct(">Q").unpack_from
_tag_and_bits = struct.Struct(">QB").unpack_from

# Header frame: class, weight, size of the body, flags.
_SMALLEST_HEADER = 14


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

    def on_confirm(self, tag: int, *, multiple: bool, taken: bool) -> None:
        """The broker has, or could not take, a message, or all up to it."""

    def on_closed(self) -> None:
        """The channel is closed; nothing may be sent on it any more."""


class Link(Protocol):
    """Who hears what concerns the whole connection."""

    def on_blocked(self, *, blocked: bool) -> None:
        """The broker takes no messages, or takes them again."""

    def on_closing(self) -> None:
        """The broker closes the connection."""


class _Content:
    """A message whose frames are arriving."""

    __slots__ = ("chunks", "header", "method", "missing")

    def __init__(self, method: bytes) -> None:
        self.method = method
        self.header = b""
        self.missing = 0
        self.chunks: list[bytes | memoryview] = []

    def add(self, chunk: bytes | memoryview) -> None:
        self.missing -= len(chunk)
        if self.missing < 0:
            raise StreamError("more body than announced")
        self.chunks.append(chunk)

    @property
    def body(self) -> bytes:
        if len(self.chunks) == 1 and type(self.chunks[0]) is bytes:
            return self.chunks[0]
        return b"".join(self.chunks)


class Splitter:
    """
    Take the stream apart, whatever pieces it comes in.

    Args:
        pass_on: Called with whole frames that are not ours.
        link: Told about the connection.

    Attributes:
        frame_max: Largest frame that was agreed upon, in bytes.
        channels: Who takes what belongs to a channel, by its number.
    """

    def __init__(self, pass_on: Callable[[bytes], object], link: Link) -> None:
        self.frame_max = _FIRST_FRAME_MAX
        self.channels: dict[int, DataChannel] = {}
        self._pass_on = pass_on
        self._link = link
        self._rest = b""
        # Messages whose frames are arriving, by channel; other channels' frames may fall between.
        self._contents: dict[int, _Content] = {}
        # The body frame that was cut by the end of what was read: its channel, and what its
        # payload lacks. Such frames are large: they are not kept and joined, but taken as they come.
        self._cut: int | None = None
        self._cut_missing = 0

    def feed(self, data: bytes) -> None:
        """
        Take what was read.

        Raises:
            StreamError: It breaks the protocol; what came before was handed over.
        """
        start = 0
        if self._cut is not None:
            start = self._go_on(data)
        elif self._rest:
            data = self._rest + data
            self._rest = b""
        self._split(data, start)

    def _split(self, data: bytes, at: int) -> None:
        """Hand over every whole frame from a place on; keep what is left."""
        passing = at  # from here to `at`: whole frames for aiormq
        end = len(data)
        channels = self.channels
        limit = self.frame_max - frames.OVERHEAD
        try:
            while end - at >= 7:
                kind, number, size = _frame_head(data, at)
                if size > limit or kind not in _KINDS:
                    self._refuse_head(data, at)
                after = at + 8 + size
                channel = channels.get(number)
                if after > end:
                    if kind == BODY and channel is not None:
                        self._cut_body(data, at, number, size)
                        self._hand_on(data, passing, at)
                        passing = at = end
                    break
                if data[after - 1] != END_BYTE:
                    raise StreamError("a frame without its end")
                if channel is None:
                    if kind == METHOD and not number:
                        self._watch(data[at + 7 : at + 11])
                elif kind != METHOD or data[at + 7 : at + 11] in _OURS:
                    if passing < at:
                        self._hand_on(data, passing, at)
                    passing = after  # even if the next line raises
                    after = passing = self._take(channel, number, kind, data, at, after)
                elif data[at + 7 : at + 11] in _CLOSES:
                    self._close(number)
                at = after
        finally:
            self._hand_on(data, passing, at)
        self._rest = data[at:]
