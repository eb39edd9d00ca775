"""A class that the default codec does not know, and the two functions that make it known."""

from typing import Any

from atasks_ng import atask, run
from atasks_ng.codecs import register


class Temperature:
    def __init__(self, kelvin: float) -> None:
        self.kelvin = kelvin


@atask
async def warmer(value: Any, by: float) -> Any:
    return Temperature(value.kelvin + by)


async def main() -> None:
    try:
        await warmer(Temperature(280.0), 3.0)
    except TypeError as exc:
        print(exc)

    register(
        Temperature,
        encode=lambda temperature: temperature.kelvin,
        decode=lambda kelvin: Temperature(float(kelvin)),
    )
    print((await warmer(Temperature(280.0), 3.0)).kelvin)


if __name__ == "__main__":
    run(main(), url="loopback://")
