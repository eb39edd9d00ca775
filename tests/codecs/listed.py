"""A module that is allowed: what is defined here is its own, what it has imported is not."""

from __future__ import annotations

import dataclasses
import decimal
import enum
import functools
import os
import subprocess
from typing import Any


class Colour(enum.Enum):
    RED = 1


@dataclasses.dataclass
class Order:
    item: str
    prices: list[decimal.Decimal]

    class Depth(enum.Flag):
        LOW = 1
        HIGH = 2

    class Line:
        def __eq__(self, other: object) -> bool:
            return type(other) is type(self)

        __hash__ = None  # type: ignore[assignment]

    def total(self) -> decimal.Decimal:
        return sum(self.prices, decimal.Decimal(0))

    @classmethod
    def of(cls, item: str) -> Order:
        return cls(item, [])

    def __reduce__(self) -> Any:
        return super().__reduce__() if self.item != "of" else (Order.of, ("of",))


class Price(decimal.Decimal):
    """With class methods of another module's class."""

    run = classmethod(os.system)  # type: ignore[arg-type]


class Refusal(Exception):
    """An exception of this module."""


def double(x: int) -> int:
    return 2 * x


@functools.lru_cache
def cached(x: int) -> int:
    return x


# -- what only is here ---------------------------------------------------------------------------

imported = subprocess.Popen
handy = os.system
aliases = [os.system]
settings: dict[str, Any] = {}
half_done = functools.partial(os.system, "true")


class Sentinel:
    def __reduce__(self) -> str:
        return "NOTHING"


NOTHING = Sentinel()
