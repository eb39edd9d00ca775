"""The commands and their options."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import NoReturn

from .._version import __version__
from ..transport.urls import mask_words
from .errors import CommandError
from .operating import add_parsers as add_operating
from .run import add_parser as add_run
from .worker import add_parser as add_worker

PROGRAM = "atasks-ng"


def main(argv: Sequence[str] | None = None) -> int:
    """
    Run the command line ``atasks-ng``.

    Args:
        argv: Its arguments without the program's name. ``None``: those of this process, which then
            belongs to the command and ends with it, whatever hangs.

    Returns:
        The exit status: 0 when all went well, 2 when the command cannot be used as it was
        given, 128 and the number of the signal when a signal ended it at once.
    """
    try:
        args = make_parser().parse_args(argv)
    except SystemExit as exc:  # argparse has said why
        return exc.code if isinstance(exc.code, int) else 2
    args.owns_process = argv is None
    try:
        status: int = args.perform(args)
    except CommandError as exc:
        print(f"{PROGRAM} {args.command}: error: {exc}", file=sys.stderr)
        return exc.status
    except KeyboardInterrupt:
        return 130
    return status


class _Parser(argparse.ArgumentParser):
    """Quotes what it does not understand, but for passwords."""

    def error(self, message: str) -> NoReturn:
        super().error(mask_words(message))


def make_parser() -> argparse.ArgumentParser:
    """Return the parser of the whole command line."""
    parser: argparse.ArgumentParser = _Parser(
        prog=PROGRAM,
        description="The transparent distributed await: workers that perform tasks, programs that "
        "call them, and what their broker needs.",
        epilog="Where a URL can be given, $ATASKS_NG_URL is its default.",
    )
    parser.add_argument("--version", action="version", version=f"{PROGRAM} {__version__}")
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", required=True)
    add_worker(commands)
    add_run(commands)
    add_operating(commands)
    return parser
