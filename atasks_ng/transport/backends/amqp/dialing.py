"""Which broker is dialed next, with whose credentials, and when."""

from __future__ import annotations

import asyncio
import dataclasses
import inspect
import random
from collections.abc import Awaitable, Callable
from typing import TypeVar

from yarl import URL

from ....words.errors import AccessDeniedError, ConnectionLostError, OptionError, TLSError
from ...urls import mask
from .settings import Credentials, Settings

T = TypeVar("T")

# The first tries after a loss. Not more often than twice a second, even for whoever is unlucky
# with the jitter, and often enough to be back a second after the broker is.
_FIRST_INTERVAL = 0.75
_JITTER = (0.7, 1.0)

# A thousand processes that lose one broker must not dial in step.
_SPREAD = 0.1

# A link that breaks sooner than this counts as a failed try.
_SETTLED_SECONDS = 5.0

# Logins and certificates that are refused change by people's work: no need to ask more often.
_SLOW_INTERVAL = 5.0


@dataclasses.dataclass(frozen=True, slots=True)
class Target:
    """
    A broker and how to log in.

    Attributes:
        url: What aiormq is given, but for the name of the connection.
        shown: The same for people, without a password.
        user: Who logs in.
    """

    url: URL = dataclasses.field(repr=False)
    shown: str
    user: str


class Dialer:
    """
    The brokers of one cluster, by turns, and the pace of dialing them.

    Args:
        settings: How to treat them.
        clock: Tells the time in seconds; that of the running loop by default.

    Attributes:
        is_asking: True from asking for credentials until they have come: if that fails, it stays.
    """

    def __init__(self, settings: Settings, clock: Callable[[], float] | None = None) -> None:
        self.is_asking = False
        self._settings = settings
        self._clock = clock or (lambda: asyncio.get_running_loop().time())
        self._turn = 0
        self._failures = 0
        self._failure: BaseException | None = None
        self._dialed_at = float("-inf")
        self._denied_since: float | None = None

    # -- where ---------------------------------------------------------------------------------

    async def target(self) -> Target:
        """
        Return whom to dial now, with fresh credentials.

        Raises:
            ConnectionLostError: ``credentials`` gave nothing for too long.
            OptionError: ``credentials`` gave something else than a user and a password.
        """
        self.dialed()
        urls = self._settings.urls
        url = urls[self._turn % len(urls)]
        if self._settings.credentials is not None:
            self.is_asking = True
            user, password = await self._ask(self._settings.credentials)
            self.is_asking = False
            url = url.with_user(user).with_password(password)
        return Target(url, mask(str(url)), url.user or "guest")

    async def _ask(self, credentials: Credentials) -> tuple[str, str]:
        limit = self._settings.request_timeout
        try:
            async with asyncio.timeout(limit):
                return await _credentials(credentials)
        except TimeoutError:
            late = f"credentials() gave no user and password within {limit:g} s"
            raise ConnectionLostError(late) from None

    def turn(self) -> None:
        """Go on to the next broker."""
        self._turn += 1

    # -- when ----------------------------------------------------------------------------------

    def dialed(self) -> None:
        """A try begins."""
        self._dialed_at = self._clock()

    def lost(self) -> None:
        """The link that was made last is lost."""
        self.turn()
        if self._clock() - self._dialed_at > _SETTLED_SECONDS:
            self._failures = 0
        else:
            self._failures += 1
        self._failure = self._denied_since = None

    def failed(self, exc: BaseException) -> bool:
        """
        A try has failed.

        Returns:
            True if there have been nothing but refusals for longer than the grace time.
        """
        self.turn()
        self._failures += 1
        self._failure = exc
        now = self._clock()
        if not isinstance(exc, AccessDeniedError):
            self._denied_since = None
            return False
        if self._denied_since is None:
            self._denied_since = now
        return now - self._denied_since >= self._settings.access_grace

    def pause(self) -> float:
        """Return how long to wait before the next try, in seconds."""
        if not self._failures:
            return random.uniform(0, _SPREAD)
        longest = self._settings.reconnect_delay
        if isinstance(self._failure, AccessDeniedError):
            longest = max(longest, _SLOW_INTERVAL)
        doublings = min(self._failures - 1, 30)
        interval = min(_FIRST_INTERVAL * 2.0**doublings, longest)
        if isinstance(self._failure, TLSError):
            interval = max(interval, _SLOW_INTERVAL)
        due = self._dialed_at + interval * random.uniform(*_JITTER)
        return max(0.0, due - self._clock())


async def _credentials(ask: Credentials) -> tuple[str, str]:
    told: object = ask()
    if inspect.isawaitable(told):
        told = await told
    if isinstance(told, tuple) and len(told) == 2:
        user, password = told
        if isinstance(user, str) and isinstance(password, str) and user:
            return user, password
    # Without what it is: that may be a secret.
    raise OptionError("credentials() must return a user and a password, as a tuple of two strings")


async def first_of(
    make: Callable[[], Awaitable[T]], every: float, discard: Callable[[T], None]
) -> T:
    """
    Return what the first of several tries gives; beside one that hangs, another begins.

    After an outage the operating system tries again at intervals that have doubled meanwhile. A
    connection that is begun anew is there at once.

    Args:
        make: Begins a try.
        every: How long the last one hangs, in seconds, before the next begins.
        discard: Called with what came too late.

    Raises:
        Exception: What the first try raised that ended without a result.
    """
    tries: set[asyncio.Task[T]] = set()
    done: set[asyncio.Task[T]] = set()
    try:
        while not done:
            tries.add(asyncio.ensure_future(make()))
            done, _ = await asyncio.wait(tries, timeout=every, return_when=asyncio.FIRST_COMPLETED)
        winner = next((each for each in done if each.exception() is None), next(iter(done)))
        tries.discard(winner)
        return winner.result()
    finally:
        for each in tries:
            each.cancel()
            each.add_done_callback(lambda late: _drop(late, discard))


def _drop(late: asyncio.Task[T], discard: Callable[[T], None]) -> None:
    if not late.cancelled() and late.exception() is None:
        discard(late.result())
