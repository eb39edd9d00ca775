"""Names of modules that mean the same on every machine, and packages that may be missing."""

from __future__ import annotations

import importlib
import os
import sys
from types import ModuleType

from .errors import OptionError

# What the main module is called in the process that runs it, and in spawned children of it.
_MAIN = ("__main__", "__mp_main__")


def main_name() -> str:
    """Return the name under which other processes import what is ``__main__`` here."""
    main = sys.modules.get("__main__")
    spec = getattr(main, "__spec__", None)
    if spec is not None:
        name = str(spec.name)
        return name.removesuffix(".__main__")
    path: str | None = getattr(main, "__file__", None)
    if path is None:
        return "__main__"  # a prompt: nobody else can import it
    return os.path.splitext(os.path.basename(path))[0]


def real_name(module: str) -> str:
    """Return the name of a module as others know it."""
    return main_name() if module in _MAIN else module


def local_name(module: str) -> str:
    """Return the name under which this process has a module that others know by a name."""
    if module not in sys.modules and module == main_name():
        return "__main__"
    return module


def import_extra(package: str, extra: str, what: str) -> ModuleType:
    """
    Import a module of a package that comes with an extra.

    Args:
        package: The module.
        extra: Name of the extra in ``pip install 'atasks_ng[extra]'``.
        what: What needs it, for the error.

    Raises:
        OptionError: It is not installed.
    """
    try:
        return importlib.import_module(package)
    except ImportError as exc:
        name = package.partition(".")[0]
        raise OptionError(
            f"{what} needs the package {name}: pip install 'atasks_ng[{extra}]'"
        ) from exc
