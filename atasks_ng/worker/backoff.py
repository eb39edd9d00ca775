"""How long to wait before the next try."""

from __future__ import annotations


def delay_before(attempt: int, *, first: float, longest: float) -> float:
    """
    Return the pause before another try: doubled each time, up to a bound.

    Args:
        attempt: How many tries have failed in a row; 0: none has, and nothing need be waited for.
        first: Pause in seconds after the first failure.
        longest: The bound in seconds.
    """
    if attempt < 1:
        return 0.0
    # The exponent is bounded, too: a float has no 2 ** 2000.
    return float(min(first * 2 ** min(attempt - 1, 30), longest))
