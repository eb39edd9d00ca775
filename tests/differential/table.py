"""
The table of programs, and the log they write to.

A program is a function ``def name(task, log)`` that defines functions with ``@task`` and returns
``async def main()``. Decorated with ``@program`` it runs four ways: with a ``task`` that leaves
functions as they are, with tasks on loopback, with a copy and without, and with tasks on AMQP
workers, which import the same modules.
"""

from __future__ import annotations

import asyncio
import dataclasses
import json
import os
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

#: Where the file is that all processes of a run write to.
LOG_VARIABLE = "ATASKS_NG_DIFFERENTIAL_LOG"

Main = Callable[[], Coroutine[Any, Any, Any]]
Definition = Callable[[Any, "Log"], Main]


@dataclasses.dataclass(frozen=True, eq=False)
class Program:
    """
    One program.

    Attributes:
        name: Its name.
        define: Defines its tasks and returns its main.
        raises: What main raises, if it is to raise.
        shared: True if its tasks share memory with their caller, so that it cannot run on AMQP.
        concurrent: True if the order of its side effects is left open between concurrent calls
            over a network; those of one lane, ``"lane: text"``, stay in order.
    """

    name: str
    define: Definition
    raises: type[BaseException] | None = None
    shared: bool = False
    concurrent: bool = False

    def __repr__(self) -> str:
        return self.name


PROGRAMS: dict[str, Program] = {}


def program(define: Definition | None = None, /, **options: Any) -> Any:
    """Add a function to the table; options are the attributes of :class:`Program`."""
    if define is None:
        return lambda define: program(define, **options)
    name = define.__name__
    assert name not in PROGRAMS, f"two programs are called {name}"
    PROGRAMS[name] = Program(name, define, **options)
    return define


class Log:
    """
    Side effects of one program, in order, whatever process they happen in.

    Attributes:
        program: Name of the program.
    """

    def __init__(self, program: str) -> None:
        self.program = program

    def __call__(self, *words: object) -> None:
        """Write a line."""
        write_line(self.program, " ".join(map(str, words)))

    def lines(self) -> list[str]:
        """Return what was written since the run began."""
        return [text for program, text in read_lines() if program == self.program]

    async def until(self, *words: object, count: int = 1) -> None:
        """Return when a line is there, by whatever process, ``count`` times."""
        line = " ".join(map(str, words))
        async with asyncio.timeout(10):
            # A busy wait: the line may be written by another process.
            while self.lines().count(line) < count:  # noqa: ASYNC110
                await asyncio.sleep(0.001)


def write_line(program: str, text: str) -> None:
    """Append a line to the file; one write, so that lines of several processes do not mix."""
    data = json.dumps([program, text]).encode() + b"\n"
    file = os.open(os.environ[LOG_VARIABLE], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    try:
        os.write(file, data)
    finally:
        os.close(file)


def read_lines() -> list[list[str]]:
    """Return ``[program, text]`` of each line in the file."""
    path = Path(os.environ[LOG_VARIABLE])
    if not path.exists():
        return []
    return [json.loads(line) for line in path.read_text().splitlines()]


def clear_lines() -> None:
    """Begin anew."""
    Path(os.environ[LOG_VARIABLE]).write_text("")
