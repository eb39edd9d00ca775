"""What a process knows of others: whose address is gone, and who has no link just now."""

from __future__ import annotations

from collections import OrderedDict

# Addresses that are remembered, of each kind: more processes than that do not die at once.
_REMEMBERED = 1000


class Peers:
    """
    Addresses of processes that cannot be reached.

    Args:
        rest: For how long, in seconds, one that has no link is not looked at again: looking renews
            the lease of its address, which would keep that of a dead process for ever.
    """

    def __init__(self, rest: float) -> None:
        self._rest = rest
        self._gone: OrderedDict[str, None] = OrderedDict()
        self._away: OrderedDict[str, float] = OrderedDict()

    def note_gone(self, address: str) -> None:
        """There is no such address any more."""
        self._gone[address] = None
        if len(self._gone) > _REMEMBERED:
            self._gone.popitem(last=False)

    def is_gone(self, address: str) -> bool:
        """Return True if that was so; a process that was cut off for long may be back since."""
        return address in self._gone

    def note_away(self, address: str, now: float) -> None:
        """Nobody listens at an address."""
        self._away[address] = now + self._rest
        if len(self._away) > _REMEMBERED:
            self._away.popitem(last=False)

    def is_away(self, address: str, now: float) -> bool:
        """Return True if nobody listened there when it was looked at, not long ago."""
        return self._away.get(address, 0.0) > now
