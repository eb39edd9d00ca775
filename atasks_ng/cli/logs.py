"""What the commands write to the standard error stream."""

from __future__ import annotations

import logging
from collections.abc import Iterable

#: Levels by name, for ``worker --log-level``.
LEVELS = ("debug", "info", "warning", "error", "critical")

# Levels by number, for ``run --verbosity``.
_VERBOSITY = (logging.CRITICAL, logging.ERROR, logging.WARNING, logging.INFO, logging.DEBUG)

_FORMAT = "%(asctime)s %(process)d %(levelname)s %(name)s: %(message)s"


def configure(level: str) -> None:
    """Write everything from a level on, unless the process has log handlers already."""
    logging.basicConfig(level=level.upper(), format=_FORMAT)
    _quieten_client(logging.getLevelName(level.upper()))


def configure_loggers(names: Iterable[str], verbosity: int) -> None:
    """
    Write what some loggers say.

    Args:
        names: The loggers.
        verbosity: From 0 (critical only) to 4 (everything).
    """
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter(_FORMAT))
    _quieten_client(_VERBOSITY[verbosity])
    for name in names:
        logger = logging.getLogger(name)
        logger.setLevel(_VERBOSITY[verbosity])
        logger.propagate = False
        logger.handlers[:] = [handler]


def _quieten_client(level: int) -> None:
    # It reports each failed try as an error; the transport says the same, once, with the reason.
    # And never at the level debug: that shows every frame it sends, with arguments and results.
    logging.getLogger("aiormq").setLevel(
        logging.CRITICAL if level > logging.DEBUG else logging.INFO
    )
