"""Arguments of the wrong types, refused where the call is made."""

from atasks_ng import atask, run


@atask(validate=True)
async def total(prices: list[float], *, discount: float | None = None) -> float:
    return sum(prices) * (1 - (discount or 0))


async def main() -> None:
    print(await total([1, 2.5], discount=0.5))
    try:
        await total([1, "2.5"], discount="half")
    except TypeError as exc:
        print(exc)


if __name__ == "__main__":
    run(main())
