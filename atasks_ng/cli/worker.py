"""``atasks-ng worker``: perform calls, in this process or in several."""

from __future__ import annotations

import argparse
import asyncio
import gc
import logging
import os
import socket
import sys
from typing import TYPE_CHECKING

from ..core.connecting import Serving
from ..places.namespaces import namespaces
from ..router import DEFAULT_CONCURRENCY
from ..transport.urls import URL_VARIABLE, default_url
from ..words import errors
from ..words.options import TRACEBACKS
from ..worker.health import Address, refuse_taken
from ..worker.serving import DEFAULT_GRACE, Worker, serve
from ..worker.stopping import ignore_stop_signals
from ..worker.supervision import Policy
from ..worker.supervisor import Supervisor
from . import loading, logs
from .errors import CommandError
from .performing import perform_until_stopped

if TYPE_CHECKING:
    Commands = argparse._SubParsersAction[argparse.ArgumentParser]

logger = logging.getLogger("atasks_ng.worker")

_DESCRIPTION = """\
Import modules, and perform the calls of the tasks that they define.

SIGINT and SIGTERM stop it in order: it takes no more calls, those that run have the grace
time to end, the rest goes back to the queue. A second signal, a second later or more, ends it at
once.
"""

_EPILOG = """\
exit status:
  0    stopped by a signal
  1    worker processes cannot run, or did not stop in order
  2    the command cannot be used as it was given: a module, an option, the URL
  128+ the number of the second signal
"""


def add_parser(commands: Commands) -> None:
    """Add the command."""
    parser = commands.add_parser(
        "worker",
        help="perform calls of the tasks that modules define",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("modules", nargs="+", metavar="MODULE", help="module, or .py file, that defines tasks")
    add("--url", help=f"where calls come from, as amqp://user:password@host/ (${URL_VARIABLE})")
    add(
        "--namespace",
        dest="namespaces",
        action="append",
        metavar="NAME",
        help="namespace to serve, may be repeated (every one in which the modules define tasks)",
    )
    add(
        "--queue",
        dest="queues",
        action="append",
        metavar="NAME",
        help="queue to serve, may be repeated (default)",
    )
    add(
        "--concurrency",
        type=int,
        default=DEFAULT_CONCURRENCY,
        metavar="N",
        help="calls that run at once, in each namespace and process (%(default)s)",
    )
    add("--threads", type=int, metavar="N", help="plain functions that run at once (32)")
    add("--processes", type=int, metavar="N", help="run so many worker processes, watched by one")
    add(
        "--grace",
        type=_grace,
        default=DEFAULT_GRACE,
        metavar="S",
        help="seconds that running calls have when it stops, or 'none' (%(default)g)",
    )
    add(
        "--log-level",
        type=str.lower,
        choices=logs.LEVELS,
        default="info",
        metavar="LEVEL",
        help=f"one of {', '.join(logs.LEVELS)} (%(default)s)",
    )
    add("--name", help="name of the worker in logs and tracebacks (host name and process id)")
    add(
        "--tracebacks",
        choices=TRACEBACKS,
        metavar="HOW",
        help="what callers are told of where a task failed: full; names, without files and "
        "sources; or off (full)",
    )
    add(
        "--health",
        type=_health,
        metavar="[HOST:]PORT",
        help="answer GET /live and GET /ready there, without HOST at all addresses of this "
        "machine; process K of several at PORT + K - 1",
    )
    parser.set_defaults(perform=perform)


def perform(args: argparse.Namespace) -> int:
    """Do what the command asks; return its exit status."""
    logs.configure(args.log_level)
    url = _url_between_processes(args.url)
    try:
        _check(args)
        if args.processes is not None:
            return _supervise(args, url)
        loading.load_all(args.modules)
        # Modules and all they made stay to the end: the collector need not look at them again.
        gc.collect()
        gc.freeze()
        worker = _worker(args, url)
        running = perform_until_stopped(worker, owns_process=args.owns_process, health=args.health)
        return asyncio.run(running)
    except (errors.OptionError, errors.BadURLError) as exc:
        raise CommandError(str(exc)) from exc


def _check(args: argparse.Namespace) -> None:
    """Refuse what serve() would, before anything is imported or started."""
    if args.processes is not None and args.processes < 1:
        raise CommandError(f"--processes {args.processes}: give a whole number, 1 or more")
    if args.health is not None:
        _check_health(args.health, args.processes or 1)
    Serving(tuple(args.queues or ["default"]), args.concurrency, args.threads)
    serve("loopback://", namespace=args.namespaces or ["default"], grace=args.grace)


def _check_health(first: Address, processes: int) -> None:
    if not 0 < first.port <= 65536 - processes:
        raise CommandError(f"--health {first}: give a port from 1 to {65536 - processes}")
    # Before there are processes: each could tell of its own port only, after others have begun.
    asyncio.run(refuse_taken(map(first.after, range(processes))))


def _worker(args: argparse.Namespace, url: str) -> Worker:
    names = args.namespaces or [place.name for place in loading.with_tasks()]
    queues = args.queues or ["default"]
    _refuse_idle(args.modules, names)
    _tell_unserved(names, queues)
    return serve(
        url,
        namespace=names,
        queues=queues,
        concurrency=args.concurrency,
        threads=args.threads,
        grace=args.grace,
        name=args.name,
        tracebacks=args.tracebacks,
    )


def _refuse_idle(modules: list[str], names: list[str]) -> None:
    """Refuse to serve namespaces none of which has a task; warn of one among others."""
    found = [place.name for place in namespaces if len(place.registry)]
    if not found:
        raise CommandError(
            f"{', '.join(modules)}: no task is defined there, so nothing would be performed: name "
            "the modules with the functions that have @atask"
        )
    idle = [name for name in names if name not in found]
    if len(idle) == len(names):
        raise CommandError(
            f"no task is defined in namespace {_listed(names)}, so nothing would be performed: "
            f"{', '.join(modules)} defines tasks in {_listed(found)}"
        )
    if idle:
        logger.warning("no task is defined in namespace %s, which is served", _listed(idle))


def _listed(names: list[str]) -> str:
    return ", ".join(map(repr, names))


def _tell_unserved(names: list[str], queues: list[str]) -> None:
    for place in loading.with_tasks():
        if place.name not in names:
            logger.info("not served here: namespace %r", place.name)
            continue
        for queue in sorted({task.options.queue for task in place.registry} - set(queues)):
            logger.info("not served here: queue %r of namespace %r", queue, place.name)


def _supervise(args: argparse.Namespace, url: str) -> int:
    if os.name != "posix":
        raise CommandError("--processes needs a POSIX system: start several workers instead")
    name = args.name or f"{socket.gethostname()}:{os.getpid()}"
    supervisor = Supervisor(
        Policy(args.processes, args.grace),
        lambda number: child_command(args, f"{name}-{number}", number),
        # Not on the command line: every user of the machine can read that.
        {**os.environ, URL_VARIABLE: url},
    )
    return asyncio.run(_run(supervisor, owns_process=args.owns_process))


async def _run(supervisor: Supervisor, *, owns_process: bool) -> int:
    status = await supervisor.run()
    if owns_process:
        ignore_stop_signals()
    return status


def child_command(args: argparse.Namespace, name: str, number: int = 1) -> list[str]:
    """Return the command line of one of several worker processes; its URL is in the environment."""
    command = [sys.executable, "-m", "atasks_ng", "worker", f"--name={name}"]
    command += [f"--namespace={namespace}" for namespace in args.namespaces or ()]
    command += [f"--queue={queue}" for queue in args.queues or ()]
    command += [f"--concurrency={args.concurrency}", f"--log-level={args.log_level}"]
    command += [f"--grace={'none' if args.grace is None else args.grace}"]
    if args.threads is not None:
        command += [f"--threads={args.threads}"]
    if args.tracebacks is not None:
        command += [f"--tracebacks={args.tracebacks}"]
    if args.health is not None:
        command += [f"--health={args.health.after(number - 1)}"]
    return [*command, "--", *args.modules]


def _url_between_processes(given: str | None) -> str:
    url = given or default_url()
    if url.startswith("loopback:"):
        raise CommandError(
            "loopback:// does not leave this process, so that nobody could call this worker: pass "
            f"--url amqp://user:password@host/ or set {URL_VARIABLE}"
        )
    return url


def _health(text: str) -> Address:
    try:
        return Address.parse(text)
    except errors.OptionError as exc:
        raise argparse.ArgumentTypeError(str(exc)) from exc


def _grace(text: str) -> float | None:
    return None if text.lower() == "none" else float(text)
