"""An exception arrives as itself: class, arguments, attributes, notes, cause, members."""

from atasks_ng import atask, run


class OutOfStock(Exception):
    def __init__(self, item: str, *, wanted: int) -> None:
        super().__init__(item)
        self.wanted = wanted


@atask
async def take(item: str, wanted: int) -> None:
    try:
        {}[item]
    except KeyError as exc:
        error = OutOfStock(item, wanted=wanted)
        error.add_note("ask again on Monday")
        raise error from exc


@atask
async def take_all(**items: int) -> None:
    found = []
    for item, wanted in items.items():
        try:
            await take(item, wanted)
        except OutOfStock as exc:
            found.append(exc)
    raise ExceptionGroup("some are missing", found)


async def main() -> None:
    try:
        await take("apple", 3)
    except OutOfStock as exc:
        print(type(exc).__name__, exc.args, exc.wanted, exc.__notes__, repr(exc.__cause__))
    try:
        await take_all(apple=3, pear=1)
    except* OutOfStock as group:
        print([(exc.args[0], exc.wanted) for exc in group.exceptions])


if __name__ == "__main__":
    run(main())
