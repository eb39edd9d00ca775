"""Runs a scenario: connects, on AMQP starts workers too, and leaves nothing behind."""

import argparse
import ast
import asyncio
import contextlib
import importlib
import inspect
import logging
import signal
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import FrameType, ModuleType
from typing import Any

from atasks_ng import connect

from ._places import NoBrokerError, broker
from ._workers import Workers, WorkersError

LOG_LEVELS = ("debug", "info", "warning", "error")


def main(arguments: Sequence[str] | None = None) -> int:
    """
    List the scenarios, or run one.

    Args:
        arguments: Those of the command line.

    Returns:
        Exit code: 0, 1 if the scenario or its workers failed, 2 if the command was wrong, and
        128 and the number of the signal if one ended it.
    """
    parser = _parser()
    asked = parser.parse_args(arguments)
    known = summaries()
    if asked.name is None:
        print(_listing(known))
        return 0
    if asked.name not in known:
        parser.error(f"no scenario is called {asked.name!r}; there are {', '.join(known)}")
    if asked.on == "loopback" and asked.url:
        parser.error("--url is for --on amqp; loopback has no address")
    logging.basicConfig(
        level=asked.log_level.upper(), format="%(asctime)s %(levelname)s %(name)s: %(message)s"
    )
    module = importlib.import_module(f"{__package__}.{asked.name}")
    try:
        options = read_options(module, asked.option)
    except ValueError as exc:
        parser.error(str(exc))
    return _guarded(module, options, asked)


def summaries() -> dict[str, str]:
    """Return the first line of the documentation of every scenario, by name."""
    found = {}
    for path in sorted(Path(__file__).parent.glob("[!_]*.py")):
        text = ast.get_docstring(ast.parse(path.read_bytes())) or ""
        found[path.stem] = text.partition("\n")[0]
    return found


def read_options(module: ModuleType, pairs: Sequence[str]) -> dict[str, Any]:
    """
    Return ``name=value`` pairs as keyword arguments for the scenario's ``main``.

    Raises:
        ValueError: It has no such option, or the value is not of the type of its default.
    """
    defaults = {p.name: p.default for p in inspect.signature(module.main).parameters.values()}
    options = {}
    for pair in pairs:
        name, _, text = pair.partition("=")
        if name not in defaults:
            listed = ", ".join(f"{key}={value}" for key, value in defaults.items()) or "none"
            raise ValueError(f"--option {pair}: the options of this scenario are: {listed}")
        try:
            options[name] = type(defaults[name])(text)
        except ValueError:
            kind = type(defaults[name]).__name__
            raise ValueError(f"--option {pair}: {name} is of type {kind}") from None
    return options


def _guarded(module: ModuleType, options: dict[str, Any], asked: argparse.Namespace) -> int:
    ended_by = [signal.SIGINT]

    def end(number: int, frame: FrameType | None) -> None:
        # As Ctrl-C, so that there is one way out.
        ended_by[0] = signal.Signals(number)
        signal.raise_signal(signal.SIGINT)

    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, end)
    try:
        if asked.on == "amqp" or asked.url:
            _run_on_amqp(module, options, asked)
        else:
            asyncio.run(_perform(module, options, "loopback://"))
    except (NoBrokerError, WorkersError) as exc:
        print(f"scenarios: {exc}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 128 + ended_by[0]
    return 0


def _run_on_amqp(module: ModuleType, options: dict[str, Any], asked: argparse.Namespace) -> None:
    with broker(asked.url) as url:
        workers = Workers(module.__name__, url, asked.workers, asked.log_level)
        try:
            with workers:
                asyncio.run(_perform(module, options, url))
        finally:
            sys.stdout.flush()
            for name, calls in sorted(workers.performed.items()):
                plural = "" if calls == 1 else "s"
                print(f"worker {name} performed {calls} call{plural}", file=sys.stderr)


async def _perform(module: ModuleType, options: Mapping[str, Any], url: str) -> None:
    async with contextlib.AsyncExitStack() as stack:
        for namespace in getattr(module, "NAMESPACES", ("default",)):
            await stack.enter_async_context(connect(url, namespace=namespace))
        await module.main(**options)


def _listing(known: Mapping[str, str]) -> str:
    width = max(map(len, known))
    lines = [f"  {name:{width}}  {summary}" for name, summary in known.items()]
    usage = "Run one with python -m scenarios NAME [--on amqp]; --help tells more."
    return "\n".join(["Scenarios:", "", *lines, "", usage])


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m scenarios",
        description="Run a scenario. Without a name, list what there is.",
    )
    parser.add_argument("name", metavar="NAME", nargs="?", help="the scenario")
    parser.add_argument(
        "--on",
        choices=("loopback", "amqp"),
        help="in this process (the default), or over a broker, with worker processes",
    )
    parser.add_argument(
        "--workers", type=_positive, default=2, metavar="N", help="worker processes on amqp (2)"
    )
    parser.add_argument(
        "--url",
        help="the broker; by default $ATASKS_NG_URL, then the one on this machine, then a "
        "private RabbitMQ node for the time of the run",
    )
    parser.add_argument(
        "--option",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="an argument of the scenario; may be given several times",
    )
    parser.add_argument(
        "--log-level",
        choices=LOG_LEVELS,
        default="warning",
        metavar="LEVEL",
        help=f"least level of the log on stderr, {', '.join(LOG_LEVELS)} (warning)",
    )
    return parser


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number above 0")
    return int(text)
