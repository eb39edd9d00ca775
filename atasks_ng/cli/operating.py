"""``atasks-ng permissions`` and ``atasks-ng declare``: what operators of the broker need."""

from __future__ import annotations

import argparse
import asyncio
import shlex
from typing import TYPE_CHECKING

from ..transport.urls import URL_VARIABLE, default_url, mask
from ..words import errors
from . import logs
from .errors import CommandError

if TYPE_CHECKING:
    Commands = argparse._SubParsersAction[argparse.ArgumentParser]

_PERMISSIONS = """\
Print what a user of the broker must be permitted, exactly, and the command that does it.

  caller    makes calls
  worker    performs calls; if its tasks call tasks, it is a caller, too
  operator  declares exchanges and queues; callers and workers then need not
"""

_DECLARE = """\
Declare the exchanges and queues that callers and workers expect, so that their users need not be
permitted to. What is there already stays.
"""


def add_parsers(commands: Commands) -> None:
    """Add the commands."""
    _add_permissions(commands)
    _add_declare(commands)


def _add_permissions(commands: Commands) -> None:
    parser = commands.add_parser(
        "permissions",
        help="print what a user of the broker must be permitted",
        description=_PERMISSIONS,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("user", metavar="USER", help="the user, as the URL names it")
    add(
        "--role",
        dest="roles",
        action="append",
        required=True,
        metavar="ROLE",
        help="caller, worker or operator; may be repeated",
    )
    _add_places(parser, "queue that it serves or declares, may be repeated (all)")
    add("--prefix", default="atasks_ng", help="the option prefix of the transport (%(default)s)")
    add("--vhost", default="/", help="the virtual host (%(default)s)")
    add("--guarded", action="store_true", help="for what was declared as --guarded")
    parser.set_defaults(perform=show_permissions)


def _add_declare(commands: Commands) -> None:
    parser = commands.add_parser(
        "declare",
        help="declare what callers and workers expect on the broker",
        description=_DECLARE,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "--url",
        help="where, with the options prefix and queue_type if workers have them "
        f"(${URL_VARIABLE})",
    )
    _add_places(parser, "queue, may be repeated (default)")
    parser.add_argument(
        "--guarded",
        action="store_true",
        help="keep users from binding to the addresses of others, which takes the broker longer",
    )
    parser.set_defaults(perform=declare)


def _add_places(parser: argparse.ArgumentParser, queue: str) -> None:
    parser.add_argument(
        "--namespace",
        dest="namespaces",
        action="append",
        metavar="NAME",
        help="namespace, may be repeated (default)",
    )
    parser.add_argument("--queue", dest="queues", action="append", metavar="NAME", help=queue)


def show_permissions(args: argparse.Namespace) -> int:
    """Print them; return the exit status."""
    from ..transport.backends.amqp.permissions import permissions

    try:
        found = permissions(
            args.roles,
            args.user,
            args.namespaces or ["default"],
            queues=args.queues or (),
            prefix=args.prefix,
        )
    except errors.OptionError as exc:
        raise CommandError(str(exc)) from exc
    patterns = (found.configure, found.write, found.read)
    for name, pattern in zip(("configure", "write", "read"), patterns, strict=True):
        print(f"{name:9}  {pattern}")
    where = ["--vhost", args.vhost, args.user]
    print(f"\n{shlex.join(['rabbitmqctl', 'set_permissions', *where, *patterns])}")
    for keys in found.topic if args.guarded else ():
        print(shlex.join(["rabbitmqctl", "set_topic_permissions", *where, *keys]))
    return 0


def declare(args: argparse.Namespace) -> int:
    """Declare; print what is there now, and return the exit status."""
    from ..transport.backends.amqp import topology

    logs.configure("warning")
    url = args.url or default_url()
    if not url.startswith(("amqp://", "amqps://")):
        raise CommandError(
            f"there is nothing to declare at {mask(url)}: pass --url amqp://user:password@host/ "
            f"or set {URL_VARIABLE}"
        )
    try:
        found = asyncio.run(
            topology.declare(
                url,
                args.namespaces or ["default"],
                args.queues or ["default"],
                guarded=args.guarded,
            )
        )
    except (errors.OptionError, errors.BadURLError) as exc:
        raise CommandError(str(exc)) from exc
    except errors.ConnectionLostError as exc:
        raise CommandError(str(exc), status=1) from exc
    print("\n".join(found))
    return 0
