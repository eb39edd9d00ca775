"""Values arrive as themselves: exact in type and value."""

import datetime
from dataclasses import dataclass
from decimal import Decimal
from enum import Enum
from pathlib import PurePosixPath
from typing import Any, NamedTuple
from uuid import UUID

from atasks_ng import atask, run


class Colour(Enum):
    RED = "red"


class Point(NamedTuple):
    x: int
    y: int


@dataclass
class Line:
    ends: tuple[Point, Point]
    colour: Colour = Colour.RED


@atask
async def echo(value: Any) -> Any:
    return value


VALUES = [
    (None, True, 2**100, 0.1, 1 + 2j, "text", b"bytes", bytearray(b"more")),
    ([1], (1,), {1}, frozenset({1}), {(1, 2): "any key", None: "too"}),
    datetime.datetime(2024, 2, 29, 12, tzinfo=datetime.UTC),
    datetime.timedelta(days=1),
    Decimal("0.10"),
    UUID(int=1),
    PurePosixPath("/etc"),
    range(3),
    Line((Point(0, 0), Point(1, 2))),
]


async def main() -> None:
    for value in VALUES:
        back = await echo(value)
        assert back == value
        assert type(back) is type(value)
    print(back)


if __name__ == "__main__":
    run(main())
