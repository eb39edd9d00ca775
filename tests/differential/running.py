"""Running a program one of four ways, and what it did."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import functools
import gc
import inspect
import re
import warnings
from collections.abc import Callable
from typing import Any

import atasks_ng

from .describing import describe
from .table import Log, Program, clear_lines, read_lines

# The repr of a Task tells where the code of its coroutine stands, which is our file.
_TASK = re.compile(r"<Task [^)]*")

#: The lane of warnings that a worker process gave.
WARNINGS = "warnings"


@dataclasses.dataclass(frozen=True)
class Outcome:
    """
    What a run did, as plain data.

    Attributes:
        result: What main returned, or ``None``.
        error: What it raised, or ``None``.
        raised: Name of the class of that.
        effects: Side effects, in order.
        warnings: Warnings and complaints of event loops, sorted.
        stray: Side effects of another program, which had not ended.
    """

    result: Any
    error: Any
    raised: str | None
    effects: list[str]
    warnings: list[Any]
    stray: list[list[str]]

    @property
    def what(self) -> dict[str, Any]:
        """All of it that is the program's."""
        return {**dataclasses.asdict(self), "stray": []}

    def in_lanes(self) -> Outcome:
        """Return the same with the order left open between lanes."""
        lanes: dict[str, list[str]] = {}
        for line in self.effects:
            lanes.setdefault(line.partition(": ")[0], []).append(line)
        effects = [line for lane in sorted(lanes) for line in lanes[lane]]
        return dataclasses.replace(self, effects=effects)


@functools.cache
def run_undecorated(program: Program) -> Outcome:
    """Run a program with its functions left as they are."""
    outcome = _run(program, undecorated, contextlib.nullcontext)
    expected = program.raises and program.raises.__name__
    assert outcome.raised == expected, f"{program} is no program: {outcome}"
    return outcome


def run_decorated(program: Program, url: str, namespace: str) -> Outcome:
    """Run a program with its functions made tasks."""
    task = functools.partial(atasks_ng.atask, namespace=namespace)
    return _run(program, task, lambda: atasks_ng.connect(url, namespace=namespace))


def undecorated(function: Any = None, /, **options: Any) -> Any:
    """Stand in for ``atask``: nothing changes, but a plain function runs in a thread."""
    if function is None:
        return lambda function: undecorated(function, **options)
    is_plain = inspect.isfunction(function) and not (
        inspect.iscoroutinefunction(inspect.unwrap(function))
        or inspect.isasyncgenfunction(function)
        or "return" in function.__annotations__
    )
    if not is_plain or options.get("executor") == "loop":
        return function

    @functools.wraps(function)
    async def in_thread(*args: Any, **kwargs: Any) -> Any:
        return await asyncio.to_thread(function, *args, **kwargs)

    return in_thread


def _run(program: Program, task: Any, place: Callable[[], Any]) -> Outcome:
    clear_lines()
    complaints: list[Any] = []
    result = error = raised = None
    main = program.define(task, Log(program.name))
    # What is older than the run need not be looked at when it ends: a fifth of the time.
    gc.freeze()
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            result = describe(asyncio.run(_perform(main, place, complaints)))
        except BaseException as exc:
            error, raised = describe(exc), type(exc).__name__
        del main
        gc.collect()
    gc.unfreeze()
    effects, told, stray = _read_effects(program)
    complaints += told
    complaints += [[each.category.__name__, str(each.message)] for each in caught]
    return Outcome(result, error, raised, effects, sorted(complaints, key=repr), stray)


async def _perform(main: Any, place: Callable[[], Any], complaints: list[Any]) -> Any:
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(
        lambda _, context: complaints.append(
            [_TASK.sub("<Task …", context["message"]), describe(context.get("exception"))]
        )
    )
    async with place(), asyncio.timeout(20):
        return await main()


def _read_effects(program: Program) -> tuple[list[str], list[Any], list[Any]]:
    lines = read_lines()
    effects = [text for name, text in lines if name == program.name]
    told = [text.split(": ", 1) for name, text in lines if name == WARNINGS]
    stray = [line for line in lines if line[0] not in (program.name, WARNINGS)]
    return effects, told, stray
