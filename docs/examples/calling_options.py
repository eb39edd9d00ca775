"""Options that are changed for some calls."""

import asyncio
import datetime

from atasks_ng import atask, run


@atask(timeout=10)
async def rest(seconds: float) -> str:
    await asyncio.sleep(seconds)
    return "rested"


async def main() -> None:
    hurried = rest.options(timeout=0.2)
    print(await hurried(0))
    try:
        await hurried(60)
    except TimeoutError as exc:
        print(f"{type(exc).__name__}: {exc}")

    patient = rest.options(timeout=datetime.timedelta(minutes=5))
    print(await patient(0), "and", await rest(0))

    try:
        rest.options(colour="red")
    except TypeError as exc:
        print(f"{type(exc).__name__}: {str(exc).partition(':')[0]}")


if __name__ == "__main__":
    run(main())
