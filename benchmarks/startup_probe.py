"""``python -m benchmarks.startup_probe NAME IMPORTS PLACE``: print how long each step took."""

import asyncio
import contextlib
import importlib
import json
import sys
import time
from collections.abc import Iterator

_STEPS = ("import", "connect", "first call", "second call")


class _Clock:
    """Time that steps took, in milliseconds: by the clock on the wall, and of the processor."""

    def __init__(self) -> None:
        self.found: dict[str, float] = {"CPU ms": 0.0}

    @contextlib.contextmanager
    def step(self, name: str) -> Iterator[None]:
        begin, used = time.perf_counter(), time.process_time()
        yield
        self.found[f"{name} ms"] = (time.perf_counter() - begin) * 1e3
        if name != _STEPS[-1]:
            self.found["CPU ms"] += (time.process_time() - used) * 1e3


async def _measure(name: str, imports: str, place_in_words: str) -> dict[str, float]:
    clock = _Clock()
    # Nothing of the measurements themselves is loaded before: it would load the library.
    with clock.step(_STEPS[0]):
        importlib.import_module(imports)

    from .contenders import CONTENDERS, Place

    place = Place.from_words(place_in_words)
    CONTENDERS[name].load()
    async with contextlib.AsyncExitStack() as stack:
        with clock.step(_STEPS[1]):
            calls = await stack.enter_async_context(CONTENDERS[name].connect(place))
        for step in _STEPS[2:]:
            with clock.step(step):
                await calls["echo"](1)
    return clock.found


if __name__ == "__main__":
    print(json.dumps(asyncio.run(_measure(*sys.argv[1:]))))
