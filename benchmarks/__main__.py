"""``python -m benchmarks``: run one measurement and print its tables."""

from __future__ import annotations

import argparse
import importlib
import sys
from typing import Any

from . import plots, surroundings

MEASUREMENTS = {
    "echo": "calls a second with many in flight, against others in the same run",
    "latency": "one call after the other, against others",
    "payload": "arguments and results of 1 KiB to 1 MiB, against others",
    "fanout": "calls that await ten calls each, against others",
    "nested": "a tree of calls that await calls, against others",
    "scale": "cost of a call with 10 to 100,000 in flight; two workers against one",
    "memory": "bytes for each call that waits, at the caller and in a worker, against others",
    "startup": "import, connect and first call of a fresh process, against others",
    "codec": "encoding and decoding, against msgpack, msgspec and pickle",
    "loopback": "what a call within one process costs over a plain await",
    "cancel": "from task.cancel() to the callee's CancelledError, against one round trip",
}
_WITHOUT_BROKER = ("codec", "loopback")

# Searches for faults: they print no tables, and their options are their own.
SEARCHES = {
    "chaos": "what is lost, hung, wrong or repeated while everything fails",
    "leaks": "what calls leave behind, of which some are cancelled or too late",
}


def main(argv: list[str] | None = None) -> int:
    """Run the measurement that the command line names."""
    arguments = sys.argv[1:] if argv is None else argv
    if arguments and arguments[0] in SEARCHES:
        return int(_module(arguments[0]).main(arguments[1:]))
    options = _parser().parse_args(arguments)
    if options.name is None:
        _parser().print_help()
        return 0
    return _run(options)


def _run(options: argparse.Namespace) -> int:
    measurement = _module(options.name)
    if options.quick:
        measurement.quicken(options)
    if options.plot:
        try:
            plots.check(options.plot)
        except plots.CannotDrawError as exc:
            print(exc, file=sys.stderr)
            return 1
    print(surroundings.machine())
    tables = measurement.run(options)
    for table in tables:
        print(f"\n{table.text()}")
    if options.plot:
        plots.draw(tables, options.plot)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    commands = parser.add_subparsers(dest="name", metavar="MEASUREMENT")
    for name, line in MEASUREMENTS.items():
        command = commands.add_parser(name, help=line, description=line)
        _module(name).add_options(command)
        if name not in _WITHOUT_BROKER:
            command.add_argument(
                "--url", help="an AMQP URL; by default a private broker is started"
            )
        command.add_argument("--quick", action="store_true", help="few samples, to see it run")
        command.add_argument("--plot", metavar="FILE", help="draw it, too: a .png, .svg or .pdf")
    for name, line in SEARCHES.items():
        commands.add_parser(name, help=line)
    return parser


def _module(name: str) -> Any:
    return importlib.import_module(f"benchmarks.{name}")


if __name__ == "__main__":
    sys.exit(main())
