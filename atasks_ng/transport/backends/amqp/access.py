"""What a user turned out not to be allowed to publish to."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable

from aiormq.exceptions import AMQPError

from ....words.errors import AccessDeniedError
from ....words.reasons import Told
from .declaring import Declarer

logger = logging.getLogger("atasks_ng.amqp")

# How often, in seconds, one looks whether it was permitted meanwhile.
_LOOK_EVERY = 5.0


class Access:
    """
    The exchanges that a user may not publish to.

    Nobody looks before something was refused: that would take time each time a link is made. A
    broker answers what is not permitted by closing the channel, so after that they are known.

    Args:
        declarer: Asks the broker, on the connection that publishes.
    """

    def __init__(self, declarer: Declarer) -> None:
        self.refused: dict[str, AccessDeniedError] = {}
        self._declarer = declarer
        self._looking: asyncio.Task[None] | None = None
        self._looked_at = 0.0
        self._told = Told()

    async def look(self, exchanges: Iterable[str]) -> None:
        """Find out which of some exchanges are refused."""
        self.refused = await self._declarer.refused(exchanges)
        self._looked_at = asyncio.get_running_loop().time()
        for refusal in self.refused.values():
            if self._told.is_due(str(refusal)):
                logger.warning("%s", refusal)

    def refusal(self, exchange: str) -> AccessDeniedError | None:
        """Return why one may not publish to an exchange; look again now and then."""
        found = self.refused.get(exchange)
        is_looking = self._looking is not None and not self._looking.done()
        now = asyncio.get_running_loop().time()
        if found is not None and not is_looking and now - self._looked_at > _LOOK_EVERY:
            self._looking = asyncio.create_task(self._look_again())
        return found

    async def _look_again(self) -> None:
        try:
            await self.look(list(self.refused))
        except (AMQPError, OSError, RuntimeError) as exc:
            logger.debug("looking for permissions: %r", exc)

    def close(self) -> None:
        """Look no more."""
        if self._looking is not None:
            self._looking.cancel()
