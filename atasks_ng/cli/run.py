"""``atasks-ng run``: run programs that call tasks, perform calls, or both in one process."""

from __future__ import annotations

import argparse
import asyncio
import inspect
import signal
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from types import ModuleType
from typing import TYPE_CHECKING, Any

from ..core.connecting import connect
from ..places.namespaces import Namespace
from ..router import get_router
from ..transport.urls import URL_VARIABLE, default_url, mask
from ..words import errors
from ..worker.serving import serve
from ..worker.stopping import STOP_SIGNALS, StopSignals
from . import loading, logs
from .errors import CommandError

if TYPE_CHECKING:
    Commands = argparse._SubParsersAction[argparse.ArgumentParser]

_DESCRIPTION = """\
Load files or modules, and await their aiomain(**options), all at once.

  client    calls tasks; workers elsewhere perform them
  server    performs calls, until a signal comes
  loopback  does both in this process, over any transport
"""

# Where a broker is if nobody says where.
_DEFAULT_AMQP_URL = "amqp://guest:guest@localhost/"

# SIGQUIT, where there is one, ends a server in order, too.
_SIGNALS = (*STOP_SIGNALS, *(each for each in signal.Signals if each.name == "SIGQUIT"))

_SCHEMES = {"loopback": ("loopback",), "amqp": ("amqp", "amqps")}


def add_parser(commands: Commands) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "run",
        help="run programs that call tasks",
        description=_DESCRIPTION,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("scenario", nargs="+", metavar="FILE_OR_MODULE", help="what to load, in this order")
    add(
        "-M",
        "--mode",
        choices=("client", "server", "loopback"),
        default="client",
        help="what this process does (%(default)s)",
    )
    add(
        "-T",
        "--transport",
        choices=tuple(_SCHEMES),
        help="how calls travel (what the URL says)",
    )
    add("-U", "--url", help=f"where to connect (${URL_VARIABLE}, or loopback://)")
    add(
        "-o",
        "--option",
        dest="opt",
        nargs="*",
        action="extend",
        metavar="KEY=VALUE",
        help="further keyword arguments of aiomain; the list as given is its argument opt",
    )
    add(
        "-v",
        "--verbosity",
        type=int,
        choices=range(5),
        default=1,
        help="from 0, silent, to 4, everything (%(default)s)",
    )
    add(
        "-L",
        "--loggers",
        nargs="*",
        action="extend",
        metavar="NAME",
        help="loggers that the verbosity is for (atasks_ng)",
    )
    add("-H", "--hostname", help="name of this process in tracebacks (host name and process id)")
    parser.set_defaults(perform=perform)


def perform(args: argparse.Namespace) -> int:
    """Do what the command asks; return its exit status."""
    logs.configure_loggers(args.loggers or ["atasks_ng"], args.verbosity)
    _settle_transport(args)
    options = options_of(args)
    return asyncio.run(_run(args, options))


async def _run(args: argparse.Namespace, options: dict[str, Any]) -> int:
    # In the running loop, as modules may make tasks and locks; before connecting, as a worker
    # must not take calls of tasks that it does not know yet.
    modules = loading.load_all(args.scenario)
    places = loading.with_tasks()
    if args.hostname:
        for place in places:
            get_router(place.name).name = args.hostname
    stop = asyncio.Event()
    async with AsyncExitStack() as stack:
        if args.mode == "server":
            stack.enter_context(StopSignals(lambda signum: stop.set(), _SIGNALS))
        await _connect(stack, args, places)
        mains = asyncio.create_task(_await_all([main_of(each, options) for each in modules]))
        if args.mode == "server":
            await _until(stop, mains)
        else:
            await mains
    return 0


async def _connect(
    stack: AsyncExitStack, args: argparse.Namespace, places: list[Namespace]
) -> None:
    try:
        if args.mode == "client":
            for place in places:
                await stack.enter_async_context(connect(args.url, namespace=place.name))
            return
        names = [place.name for place in places]
        queues = {"default": None} | {
            task.options.queue: None for place in places for task in place.registry
        }
        await stack.enter_async_context(serve(args.url, namespace=names, queues=queues))
    except (errors.OptionError, errors.BadURLError) as exc:
        raise CommandError(str(exc)) from exc
    except errors.ConnectionLostError as exc:
        raise CommandError(str(exc), status=1) from exc


async def _await_all(mains: Sequence[Callable[[], Awaitable[Any]]]) -> None:
    tasks = [asyncio.ensure_future(main()) for main in mains]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _until(stop: asyncio.Event, mains: asyncio.Task[None]) -> None:
    """Wait for a signal; what fails before ends everything."""
    stopping = asyncio.create_task(stop.wait())
    await asyncio.wait([stopping, mains], return_when=asyncio.FIRST_COMPLETED)
    if mains.done():
        mains.result()
        await stopping
    else:
        mains.cancel()
        await asyncio.wait([mains])


def main_of(module: ModuleType, options: Mapping[str, Any]) -> Callable[[], Awaitable[Any]]:
    """
    Return what to call for a module: its ``aiomain`` with those of the options that it takes.

    Args:
        module: It need not have one.
        options: All there are.
    """
    function = getattr(module, "aiomain", _nothing)
    parameters = inspect.signature(function).parameters.values()
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters):
        return lambda: function(**options)
    named = {each.name for each in parameters if each.kind is not each.POSITIONAL_ONLY}
    taken = {name: value for name, value in options.items() if name in named}
    return lambda: function(**taken)


def options_of(args: argparse.Namespace) -> dict[str, Any]:
    """
    Return the keyword arguments of ``aiomain``.

    Raises:
        CommandError: One of ``--option`` has the name of another option.
    """
    names = ("scenario", "opt", "url", "hostname", "verbosity", "loggers", "mode", "transport")
    options = {name: getattr(args, name) for name in names}
    for item in args.opt or ():
        key, separator, value = item.partition("=")
        if key in names:
            raise CommandError(f"--option {item}: {key!r} is the name of another option")
        if separator:
            options[key] = value
    return options


def _settle_transport(args: argparse.Namespace) -> None:
    """Make ``args.transport`` and ``args.url`` say the same."""
    if args.url is None:
        args.url = _default_url(args.transport)
    scheme = args.url.partition("://")[0]
    if args.transport is None:
        args.transport = "amqp" if scheme in _SCHEMES["amqp"] else scheme
    elif scheme not in _SCHEMES[args.transport]:
        shown = mask(args.url)
        raise CommandError(f"--transport {args.transport} cannot use the URL {shown}")
    if args.mode == "server" and args.transport == "loopback":
        raise CommandError(
            "a server on the loopback transport hears no other process: use --mode loopback, or "
            f"--url amqp://user:password@host/ (or {URL_VARIABLE})"
        )


def _default_url(transport: str | None) -> str:
    url = default_url()
    if transport is None or url.partition("://")[0] in _SCHEMES[transport]:
        return url
    return _DEFAULT_AMQP_URL if transport == "amqp" else "loopback://"


async def _nothing() -> None:
    """The ``aiomain`` of a module that has none."""
