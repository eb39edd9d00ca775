"""Every module with programs; importing it fills the table."""

from __future__ import annotations

from collections.abc import Iterable

from . import (  # noqa: F401  (each fills the table)
    programs_cancelling,
    programs_context,
    programs_deadlines,
    programs_errors,
    programs_functions,
    programs_gathering,
    programs_generators,
    programs_groups,
    programs_mixed,
    programs_values,
)
from .table import PROGRAMS, Program


def all_programs() -> Iterable[Program]:
    """Return every program, in the order of the modules."""
    return PROGRAMS.values()
