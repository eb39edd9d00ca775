"""What was told already, so that the log does not repeat all the time what lasts."""

from __future__ import annotations

import re
import time
from collections.abc import Callable

#: Seconds after which something that still holds is worth another line.
REPEAT_AFTER = 60.0

# An identity, as new_id() makes them: new with each try, and no news.
_IDENTITY = re.compile(r"\b[0-9a-f]{32}\b")


class Told:
    """
    Remember which texts were told, and when; texts that differ in random identities are one.

    Args:
        clock: Tells the time in seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._at: dict[str, float] = {}

    def is_due(self, text: str) -> bool:
        """Return True, and take it for told, unless it was in the last ``REPEAT_AFTER`` seconds."""
        now = self._clock()
        self._at = {kept: at for kept, at in self._at.items() if now - at < REPEAT_AFTER}
        key = _IDENTITY.sub("…", text)
        is_due = key not in self._at
        self._at.setdefault(key, now)
        return is_due
