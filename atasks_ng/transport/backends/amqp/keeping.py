"""Keeps a session to one of the brokers: dials, and dials anew when it is lost."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable

from aiormq.exceptions import AMQPError

from ....words.errors import AccessDeniedError, AtasksError, ConnectionLostError
from ....words.reasons import Told
from ...base import Receiver
from .dialing import Dialer
from .refusals import joined
from .session import Session
from .settings import Names, Settings

logger = logging.getLogger("atasks_ng.amqp")

_EXPECTED = (AMQPError, OSError, RuntimeError)


class Keeper:
    """
    Keep a session.

    Args:
        settings: Where the brokers are, and how to treat them.
        names: What things are called there.
        make: Makes a session that is not open yet.
        use: Called with each that was opened; what it raises ends that session.
        receiver: Returns who is told of the link, or ``None``.

    Attributes:
        session: The one of now; before one was opened, ``None``.
    """

    def __init__(
        self,
        settings: Settings,
        names: Names,
        make: Callable[[], Session],
        use: Callable[[Session], Awaitable[None]],
        receiver: Callable[[], Receiver | None],
    ) -> None:
        self.session: Session | None = None
        self._shown = settings.shown_url
        self._brokers = len(settings.urls)
        self._exchanges = (names.requests, names.replies, names.control)
        self._requests = names.requests
        self._dialer = Dialer(settings)
        self._make = make
        self._use = use
        self._receiver = receiver
        self._task: asyncio.Task[None] | None = None
        self._is_stopped = False
        self._told = Told()

    async def start(self) -> None:
        """
        Open a session with the first broker that can be used, and keep it.

        Raises:
            AccessDeniedError: The login was refused, or what must be declared.
            TLSError: There is no safe way to any of them.
            ConnectionLostError: None of them can be used.
        """
        failures: list[ConnectionLostError] = []
        for _ in range(self._brokers):
            try:
                await self._dial()
            except AccessDeniedError:
                raise  # it is one cluster: they have the same users
            except ConnectionLostError as exc:
                failures.append(exc)
                self._dialer.turn()
            else:
                self._task = asyncio.create_task(self._keep(), name="atasks_ng link")
                return
        if len(failures) == 1:
            raise failures[0]
        raise joined(failures) from failures[-1]

    async def stop(self) -> Session | None:
        """Keep it no more; return the session that is to be closed."""
        self._is_stopped = True
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        return self.session

    async def _dial(self, suspects: Iterable[str] = ()) -> None:
        target = await self._dialer.target()
        session = self._make()
        await session.open(target, suspects)
        try:
            await self._use(session)
        except BaseException:
            await session.close()
            raise
        self.session = session

    async def _keep(self) -> None:
        try:
            while True:
                await self._keep_one()
        except BaseException as exc:
            # Nobody keeps it any more: whoever waits must hear of it.
            if not self._is_stopped:
                ends = isinstance(exc, asyncio.CancelledError)
                self._abandon("the event loop is ending" if ends else repr(exc))
            raise

    async def _keep_one(self) -> None:
        session = self.session
        assert session is not None
        why = await asyncio.shield(session.lost)
        logger.warning("lost the link to %s (%s); connecting again", self._shown, why)
        self._dialer.lost()
        self._tell_link(up=False)
        try:
            await session.close()
        except Exception:
            # Whatever is left of it must not keep the next one from being made.
            logger.exception("closing the lost link to %s", self._shown)
        await self._redial(self._exchanges if session.is_refused else session.access.refused)
        logger.warning("the link to %s is there again", self._shown)
        self._tell_link(up=True)
        self._tell_refused()

    async def _redial(self, suspects: Iterable[str]) -> None:
        while True:
            await asyncio.sleep(self._dialer.pause())
            try:
                await self._dial(suspects)
            except Exception as exc:
                self._failed(exc)
            else:
                return

    def _failed(self, exc: Exception) -> None:
        shown, is_known = str(exc), isinstance(exc, _EXPECTED)
        if self._dialer.is_asking and not isinstance(exc, AtasksError):
            # Not what it says, nor where: it was raised among secrets.
            shown, is_known = f"credentials() raised {type(exc).__name__}", True
        # Not each time: an outage may last.
        level = logging.WARNING if self._told.is_due(shown) else logging.DEBUG
        logger.log(level, "%s; trying again", shown, exc_info=None if is_known else exc)
        receiver = self._receiver()
        if self._dialer.failed(exc) and receiver is not None:
            receiver.on_abandoned(exc)

    # -- telling the receiver ------------------------------------------------------------------

    def _tell_link(self, *, up: bool) -> None:
        receiver = self._receiver()
        if receiver is not None:
            receiver.on_link(up=up)

    def _tell_refused(self) -> None:
        receiver, session = self._receiver(), self.session
        assert session is not None
        refusal = session.access.refused.get(self._requests)
        if receiver is not None and refusal is not None:
            receiver.on_abandoned(refusal)

    def _abandon(self, why: str) -> None:
        receiver = self._receiver()
        if receiver is not None:
            lost = f"the link to {self._shown} is kept no more: {why}"
            receiver.on_abandoned(ConnectionLostError(lost))
