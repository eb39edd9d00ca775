"""Exceptions that were raised."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any


def raised(make: Callable[[], Any]) -> BaseException:
    """Return the exception that a function raises."""
    try:
        make()
    except BaseException as exc:
        return exc
    raise AssertionError("it raised nothing")
