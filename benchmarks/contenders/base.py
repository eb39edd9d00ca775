"""What a contender is, and how its worker is started."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import importlib
import importlib.util
import json
import secrets
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

from atasks_ng.testing.broker import free_port

from ..bodies import Calls

__all__ = ["Calls", "Contender", "Place", "ready", "workers"]


@dataclasses.dataclass(frozen=True)
class Place:
    """
    Where a worker is reached.

    Attributes:
        url: The broker's.
        key: Part of the name of every queue.
        port: A port of the worker's own, for those that need no broker.
    """

    url: str
    key: str
    port: int

    def in_words(self) -> str:
        """Return it as an argument of a command."""
        return json.dumps(dataclasses.asdict(self))

    @staticmethod
    def from_words(text: str) -> Place:
        """Return what :meth:`in_words` described."""
        return Place(**json.loads(text))


@dataclasses.dataclass(frozen=True)
class Contender:
    """
    One way to carry a call.

    Attributes:
        name: What it is called in tables.
        module: Its module in this package. It has ``serve(place, **options)``, which performs
            calls, tells :func:`ready` and goes on for ever; ``connect(place, **options)``, an
            async context manager that yields :data:`Calls`; and, if it leaves queues behind,
            ``sweep(place)``.
        imports: What a program imports to use it.
        options: Arguments of both functions.
    """

    name: str
    module: str
    imports: str
    options: dict[str, Any] = dataclasses.field(default_factory=dict)

    @property
    def is_installed(self) -> bool:
        """True if what it needs can be imported."""
        return importlib.util.find_spec(self.imports.partition(".")[0]) is not None

    def connect(self, place: Place, **more: Any) -> contextlib.AbstractAsyncContextManager[Calls]:
        """Connect to a worker."""
        connected: contextlib.AbstractAsyncContextManager[Calls] = self.load().connect(
            place, **self.options, **more
        )
        return connected

    async def serve(self, place: Place) -> None:
        """Be a worker."""
        await self.load().serve(place, **self.options)

    def sweep(self, place: Place) -> None:
        """Remove what workers that have ended left on the broker, if they do leave something."""
        sweep = getattr(self.load(), "sweep", None)
        if sweep is not None:
            asyncio.run(sweep(place))

    def load(self) -> Any:
        """Return its module. Late: nobody pays for the imports of another."""
        return importlib.import_module(f"{__package__}.{self.module}")


def ready() -> None:
    """Tell whoever started this worker that it takes calls."""
    print("ready", flush=True)


@contextlib.contextmanager
def workers(contender: Contender, url: str, count: int = 1) -> Iterator[tuple[Place, list[int]]]:
    """Yield where fresh workers of a contender are, and their process ids."""
    # A key of their own: what a turn before has left in a queue is not performed in this one.
    place = Place(url, f"benchmark-{secrets.token_hex(4)}", free_port())
    with contextlib.ExitStack() as stack:
        stack.callback(contender.sweep, place)
        yield place, [stack.enter_context(_process(contender, place)) for _ in range(count)]


@contextlib.contextmanager
def _process(contender: Contender, place: Place) -> Iterator[int]:
    command = [sys.executable, "-m", __package__, contender.name, place.in_words()]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        if process.stdout.readline().strip() != "ready":
            raise RuntimeError(f"the worker of {contender.name} did not get ready")
        yield process.pid
    finally:
        process.terminate()
        process.wait(30)
        process.stdout.close()
