"""``python -m benchmarks``: run one measurement and print its table."""

from __future__ import annotations

import argparse
import importlib
import sys

MEASUREMENTS = {
    "echo": "calls a second with many in flight, against others in the same run",
    "cancel": "from task.cancel() to the callee's CancelledError, against one round trip",
}


def main(argv: list[str] | None = None) -> int:
    """Run the measurement that the command line names."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    commands = parser.add_subparsers(dest="name", metavar="MEASUREMENT")
    for name, line in MEASUREMENTS.items():
        command = commands.add_parser(name, help=line, description=line)
        importlib.import_module(f"benchmarks.{name}").add_options(command)
        command.add_argument("--url", help="an AMQP URL; without one, a private broker is started")
        command.add_argument("--quick", action="store_true", help="few samples, to see it run")
    options = parser.parse_args(argv)
    if options.name is None:
        parser.print_help()
        return 0
    return int(importlib.import_module(f"benchmarks.{options.name}").run(options))


if __name__ == "__main__":
    sys.exit(main())
