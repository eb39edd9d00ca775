"""Modules and files that define tasks."""

from __future__ import annotations

import importlib
import importlib.util
import logging
import os
import site
import sys
import sysconfig
import traceback
from collections.abc import Iterable
from pathlib import Path
from types import ModuleType

from ..places.namespaces import Namespace, namespaces
from .errors import CommandError

logger = logging.getLogger("atasks_ng.cli")

_PACKAGE = Path(__file__).parents[1]

# Where the standard library and installed packages are.
_INSTALLED = {
    *(sysconfig.get_paths()[name] for name in ("stdlib", "platstdlib", "purelib", "platlib")),
    *site.getsitepackages(),
}


def load_all(names: Iterable[str]) -> list[ModuleType]:
    """
    Import modules, the current folder first on the path.

    Args:
        names: Names of modules, or paths of ``.py`` files. A file becomes the module that its
            name says, as it is for a program that imports it: tasks have the same names on
            both sides.

    Raises:
        CommandError: One cannot be imported; the traceback is logged at debug level.
    """
    if "" not in sys.path[:1]:
        sys.path.insert(0, "")
    return [_load(name) for name in names]


def with_tasks() -> list[Namespace]:
    """Return the namespaces in which tasks are defined, or ``default`` if there are none."""
    return [place for place in namespaces if len(place.registry)] or [namespaces.get("default")]


def _load(name: str) -> ModuleType:
    try:
        return _load_file(Path(name)) if _is_path(name) else importlib.import_module(name)
    except CommandError:
        raise
    except (Exception, SystemExit) as exc:
        logger.debug("importing %r failed", name, exc_info=True)
        raise CommandError(f"cannot import {name!r}: {_describe(exc)}") from exc


def _is_path(name: str) -> bool:
    return name.endswith(".py") or os.sep in name


def _load_file(path: Path) -> ModuleType:
    if not path.is_file():
        raise CommandError(f"there is no file {str(path)!r}")
    name = path.stem
    known = sys.modules.get(name)
    if known is not None:
        return _same_file(known, name, path)
    # As for a script: modules beside it can be imported.
    sys.path.insert(1, str(path.resolve().parent))
    spec = importlib.util.spec_from_file_location(name, path)
    if spec is None or spec.loader is None:
        raise CommandError(f"{str(path)!r} is no Python file: its name must end in .py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[name] = module
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[name]
        raise
    return module


def _same_file(known: ModuleType, name: str, path: Path) -> ModuleType:
    file = getattr(known, "__file__", None)
    if file is not None and Path(file).exists() and path.samefile(file):
        return known
    raise CommandError(
        f"the file {str(path)!r} would be the module {name!r}, which is {file or 'built in'}: "
        "give the file another name"
    )


def _describe(exc: BaseException) -> str:
    """Return the error in one line, with the place in the user's code that raised it."""
    text = " ".join(traceback.format_exception_only(exc)[-1].split())
    if isinstance(exc, SyntaxError):
        return f"{text} ({exc.filename}, line {exc.lineno})"
    frame = _deepest_of_user(traceback.extract_tb(exc.__traceback__))
    return f"{text} ({frame.filename}, line {frame.lineno})" if frame else text


def _deepest_of_user(stack: Iterable[traceback.FrameSummary]) -> traceback.FrameSummary | None:
    frames = [
        frame for frame in stack if frame.filename != __file__ and "importlib" not in frame.filename
    ]
    if not frames:
        return None
    # The first one is the module's. If it is installed, its own file is all that is surely his.
    own = [each for each in frames if not _is_library(each.filename)]
    return (own or [each for each in frames if each.filename == frames[0].filename])[-1]


def _is_library(filename: str) -> bool:
    return (
        filename.startswith("<")
        or Path(filename).is_relative_to(_PACKAGE)
        or any(Path(filename).is_relative_to(folder) for folder in _INSTALLED)
    )
