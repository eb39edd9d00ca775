"""
Forms of exceptions that are values: in a list, as an attribute, returned instead of raised.

What travels is what travels of one that was raised (``protocol.failures``), without frames: class,
arguments, attributes, notes, cause, context, members. An exception and all that it leads to are
one flat table, so that a cause that is also the context, or an attribute, stays one object.

Law: the members of a group, and exceptions that are arguments of another, stand before it in the
table; all other links may point anywhere. ``repr()`` follows just those, as often as they occur:
their number is limited.

A class is looked up among those that this process has imported, in the dictionaries of modules
and classes only: nothing is imported and no ``__getattr__`` is asked. No ``__new__``, ``__init__``
or property of the class runs.
"""

from __future__ import annotations

import builtins
import inspect
import secrets
import sys
import types
import weakref
from collections.abc import Callable, Iterator
from typing import Any

from ...protocol.failures import MAX_EXCEPTIONS, attributes_of, summary_of
from ...words.errors import DecodeError, EncodeError, RemoteError
from ...words.modules import local_name
from .. import classes
from . import wire
from .wire import Form

_ERROR = wire.ext(wire.ERROR)

_LINKS = ("__cause__", "__context__")
_MISSING: Any = object()

_BUILT_IN = frozenset(cls for cls in vars(builtins).values() if isinstance(cls, type))
# What an attribute of an instance must not shadow: others call these methods.
_FIXED = frozenset(dir(BaseException))
_FIXED_IN_GROUPS = frozenset(dir(BaseExceptionGroup))

_NAMESPACES: dict[type, Any] = {kind: vars(kind)["__dict__"] for kind in (types.ModuleType, type)}

_UNICODE_ERRORS = (UnicodeEncodeError, UnicodeDecodeError, UnicodeTranslateError)

# Classes that cannot be found by name, such as those made in functions: the process that wrote
# one down finds it by identity.
_PROCESS = secrets.token_hex(8)
_classes_by_key: weakref.WeakValueDictionary[str, type] = weakref.WeakValueDictionary()


def find_class(name: str) -> type[BaseException] | None:
    """Return the exception class of a name on the wire, if this process has imported it."""
    module, _, qualname = name.partition(":")
    value: Any = sys.modules.get(local_name(module))
    for part in qualname.split("."):
        if value is None:
            break  # a long name costs no more than a short one
        value = _names_in(value).get(part)
    # By type(): isinstance() would ask the value's own __class__.
    if not issubclass(type(value), type) or not issubclass(value, BaseException):
        return None
    return value if _is_usable(value) and classes.wire_name(value) == name else None


def _names_in(value: Any) -> Any:
    # Not getattr(value, "__dict__"): modules that load lazily have a property of that name.
    kinds = (kind for kind in _NAMESPACES if issubclass(type(value), kind))
    return next((_NAMESPACES[kind].__get__(value) for kind in kinds), {})


def _is_usable(cls: type) -> bool:
    # Whoever sends a message would choose what __del__ runs on.
    return not any("__del__" in _names_in(base) for base in cls.__mro__)


# -- writing down ------------------------------------------------------------------------------


def form_of(exc: BaseException) -> Form:
    """
    Return the form of an exception.

    Raises:
        EncodeError: It leads to too many others.
    """
    table = _Table()
    table.collect(exc)
    records = [_record(each, table.index) for each in table.found]
    return [_ERROR, table.index[id(exc)], *records]


class _Table:
    """All exceptions that one leads to, each once, those that ``repr()`` shows before it."""

    def __init__(self) -> None:
        self.found: list[BaseException] = []
        self.index: dict[int, int] = {}
        self._todo: list[BaseException] = []

    def collect(self, exc: BaseException) -> None:
        self._todo.append(exc)
        while self._todo:
            self._add(self._todo.pop())

    def _add(self, exc: BaseException) -> None:
        if id(exc) in self.index:
            return
        for inner in _shown_in(exc):
            self._add(inner)
        if len(self.found) == MAX_EXCEPTIONS:
            raise EncodeError(
                f"an exception that leads to more than {MAX_EXCEPTIONS} others cannot be encoded"
            )
        self.index[id(exc)] = len(self.found)
        self.found.append(exc)
        self._todo += _linked(exc)


def _shown_in(exc: BaseException) -> Iterator[BaseException]:
    if classes.recipe_of(type(exc)) is not None:
        return  # travels as its recipe says
    inner = exc.exceptions if isinstance(exc, BaseExceptionGroup) else exc.args
    yield from (each for each in inner if isinstance(each, BaseException))


def _linked(exc: BaseException) -> Iterator[BaseException]:
    if classes.recipe_of(type(exc)) is not None:
        return
    near = (exc.__cause__, exc.__context__, *attributes_of(exc).values())
    yield from (each for each in near if isinstance(each, BaseException))


def _record(exc: BaseException, index: dict[int, int]) -> Any:
    cls = type(exc)
    if classes.recipe_of(cls) is not None:
        return exc
    name = classes.wire_name(cls)
    args, known_args = _parted(dict(enumerate(exc.args)), index)
    attributes, known_attributes = _parted(attributes_of(exc), index)
    record = {
        "class": name,
        "key": None if find_class(name) is cls else _key(cls),
        "summary": summary_of(exc),
        "args": list(args.values()),
        "known args": known_args,
        "attributes": attributes,
        "known attributes": known_attributes,
        "notes": [str(note) for note in getattr(exc, "__notes__", ())],
        "__cause__": index.get(id(exc.__cause__)),
        "__context__": index.get(id(exc.__context__)),
        "suppress": exc.__suppress_context__,
    }
    if isinstance(exc, BaseExceptionGroup):
        record["args"], record["known args"] = [exc.message], {}
        record["members"] = [index[id(each)] for each in exc.exceptions]
    # What is empty is left out; 0 is the number of an exception.
    return {name: value for name, value in record.items() if value or type(value) is int}


def _parted(found: dict[Any, Any], index: dict[int, int]) -> tuple[dict[Any, Any], dict[Any, int]]:
    """Return values by key with ``None`` for each exception, and the numbers of those."""
    known = {key: index[id(value)] for key, value in found.items() if _is_known(value, index)}
    return {key: None if key in known else value for key, value in found.items()}, known


def _is_known(value: Any, index: dict[int, int]) -> bool:
    return isinstance(value, BaseException) and id(value) in index


def _key(cls: type) -> str:
    key = f"{_PROCESS}:{id(cls)}"
    _classes_by_key[key] = cls
    return key


# -- rebuilding --------------------------------------------------------------------------------


def _error(parts: list[Any]) -> BaseException:
    root, *records = parts
    made: list[BaseException] = []
    shown: list[int] = []
    for record in records:
        if isinstance(record, BaseException):
            made.append(record)
            shown.append(1)
        else:
            shown.append(_shown(record, shown))
            made.append(_made(record, made))
    for record, exc in zip(records, made, strict=True):
        if record is not exc:
            _complete(exc, record, made)
    return _at(made, root)


def _shown(record: dict[str, Any], shown: list[int]) -> int:
    """Return how many exceptions ``repr()`` of one shows, from those before it."""
    inner = [*record.get("members", ()), *record.get("known args", {}).values()]
    if not all(type(number) is int and 0 <= number < len(shown) for number in inner):
        raise DecodeError("an exception made of one that does not stand before it")
    count: int = 1 + sum(shown[number] for number in inner)
    if count > MAX_EXCEPTIONS:
        raise DecodeError(f"an exception made of more than {MAX_EXCEPTIONS} others")
    return count


def _at(made: list[BaseException], number: Any) -> BaseException:
    if type(number) is not int or not 0 <= number < len(made):
        raise DecodeError("an exception that leads to one that is not there")
    return made[number]


def _made(record: dict[str, Any], made: list[BaseException]) -> BaseException:
    """Return an instance without anything in it but the members of a group."""
    name, summary = record["class"], record["summary"]
    cls = _classes_by_key.get(record.get("key", "")) or find_class(name)
    members = [_at(made, number) for number in record.get("members", ())]
    if members:
        message = record["args"][0] if record.get("args") else ""
        if cls is None or not issubclass(cls, BaseExceptionGroup):
            return BaseExceptionGroup(f"{summary[0]}: {message}", members)
        return BaseExceptionGroup.__new__(cls, message, members)
    exc = None if cls is None else _blank(cls)
    if exc is None:
        type_name, text = summary
        return RemoteError(str(type_name), str(text))
    return exc


def _blank(cls: type) -> BaseException | None:
    # The built-in class below it keeps fields in C, which only its own __new__ sets up.
    builtin: Any = next(base for base in cls.__mro__ if base in _BUILT_IN)
    if issubclass(cls, BaseExceptionGroup):
        raise DecodeError("a group of exceptions without any")
    try:
        exc: BaseException = builtin.__new__(cls)
    except TypeError:
        return None  # a class written in C, with fields of its own
    return exc


def _complete(exc: BaseException, record: dict[str, Any], made: list[BaseException]) -> None:
    """Put back all that an exception carries and leads to."""
    if classes.wire_name(type(exc)) == record["class"]:
        if not isinstance(exc, BaseExceptionGroup):
            BaseException.args.__set__(exc, _whole_args(record, made))  # type: ignore[attr-defined]  # a getset descriptor
        attributes = dict(record.get("attributes", {}))
        for name, number in record.get("known attributes", {}).items():
            attributes[name] = _at(made, number)
        for name, value in attributes.items():
            _set(exc, name, value)
    if isinstance(exc, _UNICODE_ERRORS):
        _check_bounds(exc)
    if record.get("notes"):
        exc.__dict__["__notes__"] = [str(note) for note in record["notes"]]
    for link in _LINKS:
        if link in record:
            BaseException.__setattr__(exc, link, _at(made, record[link]))
    BaseException.__setattr__(exc, "__suppress_context__", bool(record.get("suppress")))


def _whole_args(record: dict[str, Any], made: list[BaseException]) -> tuple[Any, ...]:
    args = list(record.get("args", ()))
    for place, number in record.get("known args", {}).items():
        args[place] = _at(made, number)
    return tuple(args)


def _set(exc: BaseException, name: Any, value: Any) -> None:
    fixed = _FIXED_IN_GROUPS if isinstance(exc, BaseExceptionGroup) else _FIXED
    if type(name) is not str or name in fixed:
        raise DecodeError("an exception with an attribute that is none of its own")
    field = inspect.getattr_static(type(exc), name, None)
    if not inspect.ismemberdescriptor(field) and not inspect.isgetsetdescriptor(field):
        exc.__dict__[name] = value
        return
    # An empty C field reads as None, and is not empty once None was put there.
    if value is None and getattr(exc, name, _MISSING) is None:
        return
    try:
        field.__set__(exc, value)
    except AttributeError:
        return  # a read-only field


def _check_bounds(exc: Any) -> None:
    """Refuse text of another type, and a place before it: ``str()`` would read foreign memory."""
    cls = bytes if isinstance(exc, UnicodeDecodeError) else str
    if exc.object is not None and (type(exc.object) is not cls or exc.start < 0):
        raise DecodeError("an error of text with a place that is not in the text")


COMPOSITES: dict[int, Callable[[list[Any]], Any]] = {wire.ERROR: _error}
