"""Two namespaces, each with a codec of its own; a task of one awaits a task of the other."""

import asyncio
from decimal import Decimal

from atasks_ng import atask
from atasks_ng.codecs import JsonCodec, MsgpackCodec

NAMESPACES = ("shop", "stock")

MsgpackCodec(namespace="shop")  # typed: a Decimal stays a Decimal
JsonCodec(namespace="stock")  # what programs in other languages read

PRICES = {"apple": "0.35", "bread": "3.20", "cheese": "7.90"}


@atask(namespace="stock")
async def price(item: str) -> str:
    return PRICES[item]


@atask(namespace="shop")
async def total(basket: dict[str, int]) -> Decimal:
    """Return what a basket costs, asking the stock for the price of each item."""
    prices = await asyncio.gather(*map(price, basket))
    return sum(map(Decimal.__mul__, map(Decimal, prices), map(Decimal, basket.values())), Decimal())


async def main() -> None:
    print("one apple:", repr(await price("apple")))
    print("a basket: ", repr(await total({"apple": 6, "bread": 1, "cheese": 2})))
    try:
        await total({"durian": 1})
    except KeyError as exc:
        print("through both namespaces:", repr(exc))
