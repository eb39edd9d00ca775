"""What one transport brings, handed to whom it concerns: calls made through it, or performed."""

from __future__ import annotations

import asyncio
import logging
import os
from contextvars import Context

from ..protocol import envelopes
from ..transport.base import Delivery, Message, Transport
from ..words import errors, hooks
from .incoming import Incoming
from .logs import SeldomLogger
from .outgoing import Outgoing

logger = logging.getLogger("atasks_ng.router")

_FOR_WORKERS = frozenset({envelopes.Cancel, envelopes.Pull, envelopes.Tell, envelopes.Who})


class Port:
    """
    The place where a transport and this process meet.

    Args:
        transport: The transport; from now on it reports here.

    Attributes:
        outgoing: The calls made through it, or ``None``.
        incoming: The calls performed for it, or ``None``.
    """

    def __init__(self, transport: Transport) -> None:
        self.transport = transport
        self.outgoing: Outgoing | None = None
        self.incoming: Incoming | None = None
        self._pid = os.getpid()
        self._log = SeldomLogger(logger)
        transport.bind(self)

    def check_usable(self, namespace: str, loop: asyncio.AbstractEventLoop) -> None:
        """
        Raise if calls through it belong to others, who are alive.

        Raises:
            ForkedError: To the process that this one was forked from.
            WrongLoopError: To an event loop that runs in another thread.
            OptionError: The codec must not be used between processes as it is.
        """
        if not self.is_here:
            raise errors.ForkedError(namespace)
        outgoing = self.outgoing
        if outgoing is not None and outgoing.loop is not loop and outgoing.loop.is_running():
            raise errors.WrongLoopError(namespace)
        self.transport.check_usable()
        self.transport.check_seal()

    @property
    def is_here(self) -> bool:
        """False in a child that was forked from the process that it was made in."""
        return self._pid == os.getpid()

    @property
    def is_idle(self) -> bool:
        """True if nothing would be lost with it."""
        return self.incoming is None and (self.outgoing is None or not self.outgoing.pending)

    def close(self, error: BaseException) -> None:
        """End the calls made through it."""
        outgoing, self.outgoing = self.outgoing, None
        # A loop that is closed has ended them already, in its own way; a parent process has them.
        if outgoing is not None and not outgoing.loop.is_closed() and self.is_here:
            outgoing.close(error)

    # -- what a transport brings ---------------------------------------------------------------

    @property
    def is_waiting(self) -> bool:
        """True while a call is awaited or performed."""
        outgoing, incoming = self.outgoing, self.incoming
        return bool(outgoing and outgoing.pending) or bool(incoming and incoming.running)

    def on_request(self, delivery: Delivery) -> None:
        """A request for this worker."""
        if self.incoming is None:
            delivery.hand_back()
        else:
            self.incoming.on_request(delivery)

    def on_envelope(self, body: bytes | memoryview, context: Context | None = None) -> None:
        """An envelope for this process."""
        try:
            envelope = envelopes.decode(body)
            kind = type(envelope)
            if kind in _FOR_WORKERS:
                if self.incoming is not None:
                    self.incoming.on_envelope(envelope, context)
            elif self.outgoing is not None and kind is not envelopes.Request:
                self.outgoing.on_envelope(envelope, context)
        except errors.ProtocolError as exc:
            self.on_refused(exc)

    def on_refused(
        self, error: errors.ProtocolError, complaint: envelopes.Refusal | None = None
    ) -> None:
        """An envelope for this process that is none, or is not from whom it should be."""
        if complaint is not None and self.outgoing is not None:
            self.outgoing.on_complaint(complaint)
        if hooks.listeners:
            hooks.emit(hooks.MessageDropped(str(error), None))
        if complaint is None:
            self._log.warning(type(error).__name__, "dropped a message: %s", error)
        else:
            # From a stranger, so as its repr(), and not all of it.
            self._log.warning(
                complaint.error,
                "somebody who cannot sign says that a request was refused, with %.300r: that is "
                "not believed at once, its call goes on waiting",
                complaint.args[-1:],
            )

    def on_returned(self, message: Message) -> None:
        """A request that no queue took."""
        if self.outgoing is not None:
            self.outgoing.on_returned(message)

    def on_gone(self, id: str) -> None:
        """The caller of a call that runs here is gone for good."""
        if self.incoming is not None:
            self.incoming.on_gone(id)

    def on_failed(self, message: Message, error: BaseException) -> None:
        """A request that cannot be carried."""
        if self.outgoing is not None:
            self.outgoing.on_failed(message, error)

    def on_link(self, *, up: bool) -> None:
        """The link was lost, or is there again."""
        if self.outgoing is not None:
            self.outgoing.on_link(up=up)
        if self.incoming is not None and up:
            self.incoming.on_relinked()
        elif self.incoming is not None:
            self.incoming.on_unlinked()

    def on_abandoned(self, error: BaseException) -> None:
        """Requests cannot be carried for now."""
        if self.outgoing is not None:
            self.outgoing.on_abandoned(error)

    def is_of(self, loop: asyncio.AbstractEventLoop) -> bool:
        """Return True if the calls made through it are awaited in this loop."""
        return self.outgoing is not None and self.outgoing.loop is loop
