"""Requests of the transports that are written the short way."""

from __future__ import annotations

import asyncio
from contextvars import Context

from ..protocol.envelopes import Notice, Refusal, decode, encode
from ..protocol.pieces import Body
from ..words.errors import BadMessageError, ProtocolError
from .messages import Delivery
from .sealing import Sealing


class Exchange(Delivery):
    """A request that is answered by the return of one coroutine."""

    __slots__ = ("_address", "_sealing", "answer")

    def __init__(self, sealed: bytes, sealing: Sealing, address: str) -> None:
        super().__init__(b"")
        self._sealing = sealing
        self._address = address
        self.answer: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self.unseal(sealed, sealing, address)
        if self.outdated:
            # Its caller cannot be asked.
            self.fault = sealing.why_outdated(sealed)

    def finish(self, answer: Body | None, context: Context | None = None) -> None:
        if self.answer.done():
            return
        body = _nothing_about(self.body) if answer is None else answer
        seal = self._sealing.message if self.fault is None else self._sealing.refusal
        self.answer.set_result(bytes(seal(body, self._address)))

    def refuse(self, reason: str, answer: bytes | None) -> None:
        if answer is None:
            # No identity that could be relied on: it is the only call of this exchange.
            error = self.fault or BadMessageError(reason)
            answer = encode(Refusal("", type(error).__name__, list(error.args)))
        self.finish(answer)

    def say(self, envelope: Body, context: Context | None = None) -> None:
        """Notices have no way back, and nothing depends on them."""

    def hand_back(self) -> None:
        if not self.answer.done():
            self.answer.set_exception(ConnectionError("the worker is stopping"))


def _nothing_about(request: bytes | memoryview) -> bytes:
    """Return an envelope that changes nothing: somebody awaits the return of a coroutine."""
    try:
        return encode(Notice(decode(request).id, "settled", ""))
    except ProtocolError:
        return b""
