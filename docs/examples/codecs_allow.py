"""Pickles of what is listed arrive, those of anything else are refused before it is imported."""

import asyncio
import dataclasses
import decimal
import fractions
from typing import Any

from atasks_ng import atask, errors, serve
from atasks_ng.codecs import PickleCodec


@dataclasses.dataclass
class Order:
    item: str
    price: Any


@atask
async def price(order: Order) -> Any:
    return order.price


async def main() -> None:
    PickleCodec(allow=[f"{__name__}.Order", "decimal.Decimal"])
    async with serve("loopback://", name="left"):
        print(await price(Order("tea", decimal.Decimal("2.50"))))
        try:
            await price(Order("tea", fractions.Fraction(5, 2)))
        except errors.DecodeError as exc:
            print(str(exc).replace(": ", ":\n    ").replace("; ", ";\n    "))


if __name__ == "__main__":
    asyncio.run(main())
