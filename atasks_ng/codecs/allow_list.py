"""
What a pickle may name: a list of modules, classes and functions, and little else.

A pickle names what it wants, and has it called. Each name is looked at before anything is imported
for it, and what it led to is looked at before it is used:

* A listed full name stands for that object, whatever it is.
* A listed module or class stands for the classes and functions that were defined in it or below
  it. What it has imported from elsewhere is not its own.
* ``HARMLESS`` names of ``builtins`` need not be listed.
* Three functions that pickles of plain values need are replaced by others that can do just that.
* Nothing stands for a module itself, whose variables a pickle could set.

This is a second fence. Whoever gets past the signature can still call what is listed with any
arguments, set attributes of listed classes and functions, and ask for much memory; and what the
program itself has given a number with ``copyreg.add_extension`` is not always asked for by name.
"""

from __future__ import annotations

import builtins
import copyreg
import enum
import io
import pickle
import re
import sys
from _compat_pickle import IMPORT_MAPPING, NAME_MAPPING
from collections.abc import Iterable
from types import BuiltinFunctionType, MethodType, ModuleType
from typing import Any

from ..words.errors import OptionError
from .paths import shown

_NAME = re.compile(r"[^\W\d]\w*(\.[^\W\d]\w*)*\Z")

_VALUES = (
    "bool bytearray bytes complex dict float frozenset int list object range set slice str tuple "
    "Ellipsis NotImplemented"
)
# str() of these reads memory that is not theirs, if they were made with wrong places.
_TEXT_ERRORS = (UnicodeDecodeError, UnicodeEncodeError, UnicodeTranslateError)

#: What need not be listed: built-in types of values, and all built-in exceptions but three.
HARMLESS = frozenset(
    [f"builtins.{name}" for name in _VALUES.split()]
    + [
        f"builtins.{name}"
        for name, value in vars(builtins).items()
        if isinstance(value, type)
        and issubclass(value, BaseException)
        and not issubclass(value, _TEXT_ERRORS)
    ]
)


class Refused(Exception):  # noqa: N818  # said to the caller as a DecodeError
    """
    A pickle names what it may not.

    Args:
        sentence: What it names, and what to do if it should.
    """


class AllowList:
    """
    The names that pickles may use.

    Args:
        allow: Modules, and full names of classes and functions.
        option: How they are given, for errors: ``"PickleCodec(allow=...)"``.

    Raises:
        OptionError: One of them is no name, or is ``builtins``.
    """

    def __init__(self, allow: Iterable[str], option: str) -> None:
        if isinstance(allow, str) or not isinstance(allow, Iterable):
            raise OptionError(f"{option} wants a list of names, as ['shop.models'], not {allow!r}")
        self._option = option
        self._names = frozenset(map(self._checked, allow))
        self._stand_ins = {
            "builtins.getattr": _ClassAttribute(self),
            "copyreg._reconstructor": _Reconstruction(),
            "_codecs.encode": _Latin1(self),
        }

    def _checked(self, name: object) -> str:
        if not isinstance(name, str) or not _NAME.match(name):
            raise OptionError(
                f"{self._option} lists {shown(name)}: give names of modules, classes and "
                "functions, as 'shop.models' or 'decimal.Decimal'"
            )
        if name == "builtins":
            raise OptionError(
                f"{self._option} lists 'builtins', and with it eval() and exec(): give full names, "
                "as 'builtins.zip'; built-in types of values need not be listed"
            )
        return name

    def loads(
        self,
        content: bytes | memoryview,
        *,
        fix_imports: bool = True,
        encoding: str = "ASCII",
        errors: str = "strict",
    ) -> Any:
        """
        Return the value of a pickle. For the arguments see :func:`pickle.loads`.

        Raises:
            Refused: It names what is not allowed.
        """
        reader = _Unpickler(
            io.BytesIO(content), fix_imports=fix_imports, encoding=encoding, errors=errors
        )
        reader.allowed = self
        return reader.load()

    def stand_in(self, path: str) -> Any:
        """Return what is used in place of something that is not listed, or ``None``."""
        return None if path in self._names else self._stand_ins.get(path)

    def permits(self, path: str) -> bool:
        """Return True if a name is listed, or below one that is, or harmless."""
        if path in self._names or path in HARMLESS:
            return True
        parts = path.split(".")
        for end in range(len(parts) - 1, 0, -1):
            if ".".join(parts[:end]) in self._names:
                # Not what Python keeps under such names, nor the program that __main__ is.
                return not any(map(_is_special, parts[end:]))
        return False

    def check(self, path: str, found: Any) -> Any:
        """
        Return what a permitted name led to.

        Raises:
            Refused: It is not what the name stands for.
        """
        if issubclass(type(found), ModuleType):
            raise Refused(f"this pickle names the module {shown(path)}: it may not use modules")
        if path in self._names or path in HARMLESS:
            return found
        home = _home_of(found)
        if home is None:
            raise Refused(
                f"this pickle names {shown(path)}, which is neither a class nor a function: "
                f"{self._option} must list it by its full name, if messages may use it"
            )
        if home != path and not self.permits(home):
            raise self.refusal(home, f"{shown(path)}, which is {shown(home)}")
        return found

    def refusal(self, path: str, shown_as: str | None = None) -> Refused:
        """Return the error about a name that is not permitted."""
        names = f"this pickle names {shown_as or shown(path)}; {self._option} does not list it"
        if path.startswith("cloudpickle."):
            return Refused(
                f"{names}: it makes functions and classes that travel by value, as code; let both "
                "sides import them instead, or add 'cloudpickle' if messages may bring any code"
            )
        return Refused(f"{names}: add it, or its module, if messages may use it")


class _Unpickler(pickle.Unpickler):
    """Finds what a list allows."""

    allowed: AllowList

    def find_class(self, module: str, name: str, /) -> Any:
        allowed = self.allowed
        path = f"{module}.{name}"
        if not allowed.permits(path):
            # Pickles of protocols before 3 have the names of Python 2.
            module, name = _renamed(module, name)
            path = f"{module}.{name}"
            stand_in = allowed.stand_in(path)
            if stand_in is not None:
                return stand_in
            if not allowed.permits(path):
                raise allowed.refusal(path)
        # Not by the method of the base: it must be that name, and no other, that is found.
        sys.audit("pickle.find_class", module, name)
        return allowed.check(path, _find(module, name))


# -- stand-ins -----------------------------------------------------------------------------------
# Without attributes that could be set: a pickle can set those of whatever it gets.


class _ClassAttribute:
    """For getattr(): reads what belongs to a class that is allowed, as its nested classes."""

    __slots__ = ("_allowed",)

    def __init__(self, allowed: AllowList) -> None:
        self._allowed = allowed

    def __call__(self, owner: Any, name: Any) -> Any:
        home = _home_of(owner) if issubclass(type(owner), type) else None
        if home is None or type(name) is not str:
            raise Refused("this pickle reads attributes of objects: it may read those of classes")
        path = f"{home}.{name}"
        if not self._allowed.permits(path):
            raise self._allowed.refusal(path)
        found = getattr(owner, name)
        if issubclass(owner, enum.Enum) and type(found) is owner:
            return found
        return self._allowed.check(path, found)


class _Reconstruction:
    """For copyreg._reconstructor(): makes instances, as protocols 0 and 1 have them."""

    __slots__ = ()

    def __call__(self, cls: Any, base: Any, state: Any) -> Any:
        return copyreg._reconstructor(cls, base, state)  # type: ignore[attr-defined]  # undocumented


class _Latin1:
    """For _codecs.encode(): makes bytes, as protocols 0 to 2 have them."""

    __slots__ = ("_allowed",)

    def __init__(self, allowed: AllowList) -> None:
        self._allowed = allowed

    def __call__(self, text: Any, encoding: Any) -> bytes:
        if type(text) is not str or encoding != "latin1":
            raise self._allowed.refusal("_codecs.encode")
        return text.encode("latin1")


# -- names ---------------------------------------------------------------------------------------


def _renamed(module: str, name: str) -> tuple[str, str]:
    if (module, name) in NAME_MAPPING:
        return NAME_MAPPING[module, name]
    return IMPORT_MAPPING.get(module, module), name


def _find(module: str, name: str) -> Any:
    __import__(module, level=0)
    found: Any = sys.modules[module]
    first, *below = name.split(".")
    found = getattr(found, first)
    for part in below:
        # To read an attribute of anything else may run code.
        if not issubclass(type(found), type):
            raise Refused(
                f"this pickle names {shown(name)} of module {shown(module)}, and what is before "
                "the last dot is no class: it may use what classes contain"
            )
        found = getattr(found, part)
    return found


def _home_of(found: Any) -> str | None:
    """Return the full name that a class or function was defined by."""
    if issubclass(type(found), (BuiltinFunctionType, MethodType)):
        owner, name = found.__self__, found.__name__
        if issubclass(type(owner), type):
            # A class method, which may be of a class above.
            bases = [base for base in owner.__mro__ if name in vars(base)]
            return f"{_home_of(bases[0])}.{name}" if bases else None
    module, name = getattr(found, "__module__", None), getattr(found, "__qualname__", None)
    is_named = isinstance(module, str) and isinstance(name, str)
    return f"{module}.{name}" if is_named else None


def _is_special(part: str) -> bool:
    return part.startswith("__") and part.endswith("__")
