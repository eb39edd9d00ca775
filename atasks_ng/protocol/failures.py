"""
Exceptions as plain data, and back.

An exception is written down as what it is: class, arguments, attributes, notes, cause, context,
members, and the frames of its traceback. Rebuilding never imports and never calls a
constructor: the class is looked up among the exception classes that this process already knows,
an instance is made without ``__init__``, and its arguments and attributes are put back. A class
that is not known here becomes :class:`~atasks_ng.words.errors.RemoteError`.
"""

from __future__ import annotations

import builtins
import inspect
import secrets
import sys
import weakref
from collections.abc import Iterator
from types import TracebackType
from typing import Any

from ..words.errors import RemoteError
from ..words.modules import local_name, real_name
from .tracebacks import frames_of, place_of, rebuild_traceback

# Bounds: what a chain or group may cost on the wire and at the caller.
MAX_EXCEPTIONS = 10_000
MAX_TEXT = 64 * 1024

_MISSING: Any = object()

# Of classes whose text is a traceback, with files and sources: the causes that the process pools
# of the standard library, and those made after them, give to what their processes raise.
_TEXTS_OF_TRACEBACKS = ("RemoteTraceback", "_RemoteTraceback")
_WITHHELD = "a traceback of another process, which this worker does not tell"

# Classes defined inside functions can share one name: in the process that wrote an exception
# down, its class is found by identity.
_PROCESS = secrets.token_hex(8)
_classes_by_key: weakref.WeakValueDictionary[str, type] = weakref.WeakValueDictionary()


# -- writing down ------------------------------------------------------------------------------


def describe(
    exc: BaseException,
    where: str,
    task: str,
    thrown: BaseException | None = None,
    *,
    tracebacks: str = "full",
) -> dict[str, Any]:
    """
    Return an exception as a tree of dicts, lists, strings, numbers and its own values.

    Args:
        exc: The exception.
        where: Name of the worker that raised it, for the traceback; empty for a caller.
        task: Name of the task, for the traceback.
        thrown: What the other side had thrown in; the record says where it stands in the tree.
        tracebacks: What is told of where each of them was raised: ``"full"``, ``"names"`` or
            ``"off"``.
    """
    table: list[BaseException] = []
    index: dict[int, int] = {}
    _collect(exc, table, index)
    place = place_of(where, tracebacks)
    records = [_describe_one(each, index, place, tracebacks) for each in table]
    frames: list[Any] = records[0]["frames"]
    frames.insert(0, [place, 1, task, ""])
    return {"errors": records, "thrown": None if thrown is None else index.get(id(thrown))}


def _collect(exc: BaseException, table: list[BaseException], index: dict[int, int]) -> None:
    todo = [exc]
    while todo and len(table) < MAX_EXCEPTIONS:
        each = todo.pop()
        if id(each) in index:
            continue
        index[id(each)] = len(table)
        table.append(each)
        todo += [near for near in (each.__cause__, each.__context__) if near is not None]
        if isinstance(each, BaseExceptionGroup):
            todo += reversed(each.exceptions)


def _describe_one(
    exc: BaseException, index: dict[int, int], place: str, tracebacks: str
) -> dict[str, Any]:
    cls = type(exc)
    record: dict[str, Any] = {
        "module": real_name(cls.__module__),
        "name": cls.__qualname__,
        "key": _key(cls),
        "text": _text_of(exc),
        "args": list(exc.args),
        "attributes": attributes_of(exc),
        "notes": [str(note) for note in getattr(exc, "__notes__", ())],
        "cause": index.get(id(exc.__cause__)),
        "context": index.get(id(exc.__context__)),
        "suppress": exc.__suppress_context__,
        "frames": list(frames_of(exc.__traceback__, place, tracebacks)),
    }
    if _is_withheld(cls, tracebacks):
        record |= {"text": _WITHHELD, "args": [_WITHHELD], "attributes": {"tb": _WITHHELD}}
    if isinstance(exc, BaseExceptionGroup):
        record["args"] = [exc.message]
        record["members"] = [index[id(each)] for each in exc.exceptions if id(each) in index]
    return record


def _key(cls: type) -> str:
    key = f"{_PROCESS}:{id(cls)}"
    _classes_by_key[key] = cls
    return key


def summary_of(exc: BaseException, tracebacks: str = "full") -> list[str]:
    """
    Return the arguments of the ``RemoteError`` that stands for an exception.

    Args:
        exc: The exception.
        tracebacks: What is told of where it was raised. See :func:`describe`.
    """
    cls = type(exc)
    text = _WITHHELD if _is_withheld(cls, tracebacks) else _text_of(exc)
    return [f"{real_name(cls.__module__)}.{cls.__qualname__}", text]


def _is_withheld(cls: type, tracebacks: str) -> bool:
    return tracebacks != "full" and cls.__name__ in _TEXTS_OF_TRACEBACKS


def _text_of(exc: BaseException) -> str:
    try:
        return str(exc)[:MAX_TEXT]
    except Exception:
        return f"<{type(exc).__name__} whose str() fails>"


def attributes_of(exc: BaseException) -> dict[str, Any]:
    """Return what an exception carries beside its arguments, slots and C fields included."""
    found = {name: value for name, value in vars(exc).items() if name != "__notes__"}
    for cls in type(exc).__mro__:
        if cls is BaseException or cls is BaseExceptionGroup:
            break
        for name, descriptor in vars(cls).items():
            # AttributeError.obj is whatever lacked the attribute: as large as a program.
            if name.startswith("__") or (cls is AttributeError and name == "obj"):
                continue
            if inspect.ismemberdescriptor(descriptor) or inspect.isgetsetdescriptor(descriptor):
                try:
                    found.setdefault(name, getattr(exc, name))
                except AttributeError:
                    continue
    return found


# -- rebuilding --------------------------------------------------------------------------------


def rebuild(record: dict[str, Any], thrown: BaseException | None = None) -> BaseException:
    """
    Return the exception that was written down.

    Args:
        record: What :func:`describe` returned.
        thrown: What this side had thrown in; where it stands in the tree, it is itself again.

    Raises:
        ValueError: The record is damaged.
    """
    try:
        return _rebuild(record, thrown)
    except Exception as exc:
        raise ValueError(f"a damaged record of an exception ({type(exc).__name__}: {exc})") from exc


def _rebuild(record: dict[str, Any], thrown: BaseException | None) -> BaseException:
    records = record["errors"]
    made: dict[int, BaseException] = {}
    own = None if thrown is None else record.get("thrown")
    for number in _members_first(records):
        if thrown is not None and number == own:
            made[number] = _taken_back(thrown, records[number])
        else:
            made[number] = _rebuild_one(records[number], made)
    for number, each in enumerate(records):
        if number == own:
            continue
        exc = made[number]
        assign(exc, "__cause__", made.get(each["cause"]))
        assign(exc, "__context__", made.get(each["context"]))
        assign(exc, "__suppress_context__", bool(each["suppress"]))
    return made[0]


def assign(exc: BaseException, name: str, value: Any) -> None:
    """Set an attribute of an exception; its class's own ``__setattr__`` has no say in it."""
    BaseException.__setattr__(exc, name, value)


def chained(exc: BaseException, handled: BaseException | None) -> BaseException | None:
    """
    Return the context that an exception of a callee has at its caller.

    What the caller is handling comes behind all that the callee was: where a coroutine is awaited
    locally, Python puts it there.
    """
    last, seen = exc, {id(exc)}
    while last is not handled and last.__context__ is not None:
        last = last.__context__
        if id(last) in seen:
            return exc.__context__
        seen.add(id(last))
    if last is not handled:
        assign(last, "__context__", handled)
    return exc.__context__


def _taken_back(exc: BaseException, record: dict[str, Any]) -> BaseException:
    """Return an exception that was thrown into a generator, with what it got there."""
    for note in record["notes"][len(getattr(exc, "__notes__", ())) :]:
        exc.add_note(note)
    return _with_traceback(exc, rebuild_traceback(record["frames"], exc.__traceback__))


def _with_traceback(exc: BaseException, tb: TracebackType | None) -> BaseException:
    # Not the exception's own method: it may be anything.
    return BaseException.with_traceback(exc, tb)


def _members_first(records: list[dict[str, Any]]) -> Iterator[int]:
    """Yield every index, the members of a group before the group."""
    done: set[int] = set()
    open_: set[int] = set()
    for start in range(len(records)):
        stack = [start]
        while stack:
            number = stack[-1]
            members = [m for m in records[number].get("members", ()) if m not in done]
            if number in done or (number in open_ and members and members[0] in open_):
                stack.pop()
            elif members:
                open_.add(number)
                stack.append(members[0])
            else:
                done.add(number)
                stack.pop()
                yield number


def _rebuild_one(record: dict[str, Any], made: dict[int, BaseException]) -> BaseException:
    cls = find_class(record["module"], record["name"], record["key"])
    args = tuple(record["args"])
    members = [made[number] for number in record.get("members", ()) if number in made]
    exc = _instance(cls, args, members, record)
    for name, value in record["attributes"].items():
        _set_attribute(exc, name, value)
    if _reads_beyond(exc):
        exc = _unknown(record)
    if record["notes"]:
        assign(exc, "__notes__", list(record["notes"]))
    return _with_traceback(exc, rebuild_traceback(record["frames"]))


# What every exception has of its own; notes travel apart from attributes.
_FIXED = {*dir(BaseException), "__notes__"}


def _set_attribute(exc: BaseException, name: str, value: Any) -> None:
    """Set an attribute from the wire, by no code but Python's own."""
    field = inspect.getattr_static(type(exc), name, None)
    if inspect.ismemberdescriptor(field) or inspect.isgetsetdescriptor(field):
        # An empty C field reads as None, and is not empty once None was put there.
        if value is None and getattr(exc, name, _MISSING) is None:
            return
        try:
            assign(exc, name, value)
        except Exception:
            return  # a read-only field; its value came with the arguments
    elif not hasattr(type(field), "__set__") and name not in _FIXED:
        exc.__dict__[name] = value


def _reads_beyond(exc: BaseException) -> bool:
    """Return True if the text of an exception would be made of memory that is not its own."""
    if not isinstance(exc, (UnicodeDecodeError, UnicodeEncodeError, UnicodeTranslateError)):
        return False
    cls = bytes if isinstance(exc, UnicodeDecodeError) else str
    try:
        return type(exc.object) is not cls or exc.start < 0
    except TypeError:
        return False  # it has no object, and says so


def _instance(
    cls: type[BaseException] | None,
    args: tuple[Any, ...],
    members: list[BaseException],
    record: dict[str, Any],
) -> BaseException:
    try:
        if cls is not None and issubclass(cls, BaseExceptionGroup):
            return BaseExceptionGroup.__new__(cls, args[0], members)
        if cls is not None:
            return _without_init(cls, args)
    except Exception:
        cls = None
    if "members" in record and members:
        return BaseExceptionGroup(f"{record['module']}.{record['name']}: {args[0]}", members)
    return _unknown(record)


def _unknown(record: dict[str, Any]) -> RemoteError:
    return RemoteError(f"{record['module']}.{record['name']}", record["text"])


def _without_init(cls: type[BaseException], args: tuple[Any, ...]) -> BaseException:
    # The built-in class below it keeps fields in C that only its own __new__ and __init__ fill.
    builtin = next(base for base in cls.__mro__ if base.__module__ == builtins.__name__)
    if cls is builtin:
        return cls(*args)
    exc: BaseException
    try:
        exc = builtin.__new__(cls, *args)
        builtin.__init__(exc, *args)  # type: ignore[misc]  # of its own class, not of ours
    except Exception:
        exc = BaseException.__new__(cls)
    assign(exc, "args", args)
    return exc


def find_class(module: str, name: str, key: str) -> type[BaseException] | None:
    """Return an exception class that this process already knows, or ``None``."""
    found = _classes_by_key.get(key)
    if found is not None and issubclass(found, BaseException):
        return found
    value: Any = sys.modules.get(local_name(module))
    for part in name.split("."):
        # Not by getattr(): modules and classes may have code for names that they do not have.
        value = getattr(value, "__dict__", {}).get(part) if not part.startswith("__") else None
    if isinstance(value, type) and issubclass(value, BaseException):
        return value
    return _search(BaseException, module, name)


def _search(root: type[BaseException], module: str, name: str) -> type[BaseException] | None:
    """Look through all exception classes, the newest first: for those defined in functions."""
    if "<locals>" not in name:
        return None
    todo, seen = [root], set()
    newest = None
    while todo:
        cls = todo.pop()
        if cls in seen:
            continue
        seen.add(cls)
        if real_name(cls.__module__) == module and cls.__qualname__ == name:
            newest = cls
        todo += cls.__subclasses__()[::-1]
    return newest
