"""What the worker processes import: it defines the tasks of every program."""

from __future__ import annotations

import functools
import os
import warnings
from typing import Any

from atasks_ng import atask

from . import programs
from .running import WARNINGS
from .table import Log, write_line

#: Where the name of the namespace of a session stands.
NAMESPACE_VARIABLE = "ATASKS_NG_DIFFERENTIAL_NAMESPACE"


def define_all(namespace: str) -> None:
    """Make tasks of the functions of every program that runs on AMQP."""
    task = functools.partial(atask, namespace=namespace)
    for program in programs.all_programs():
        if not program.shared:
            program.define(task, Log(program.name))


def _tell(message: Any, category: type[Warning], *_: Any, **__: Any) -> None:
    write_line(WARNINGS, f"{category.__name__}: {message}")


if NAMESPACE_VARIABLE in os.environ:
    warnings.simplefilter("always")
    warnings.showwarning = _tell
    define_all(os.environ[NAMESPACE_VARIABLE])
