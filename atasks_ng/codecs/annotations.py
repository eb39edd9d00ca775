"""
Classes found rather than named: in the annotations and in the modules of tasks.

Announcing a task costs one append. The first value that nobody knows what to make of has all
tasks announced so far looked through: by then their modules are complete, and names in
annotations mean something.
"""

from __future__ import annotations

import builtins
import dataclasses
import inspect
import sys
import threading
import typing
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from ..words.modules import local_name
from . import classes
from .records import is_model

_announced: list[Callable[..., Any]] = []
# Names of the modules that define tasks; modules and functions inside which tasks are defined.
_modules: set[str] = set()
_scopes: set[tuple[str, str]] = set()
# Classes whose methods are tasks: module and qualified name.
_owners: set[tuple[str, str]] = set()
_lock = threading.RLock()

# An object that has every attribute one asks for would be walked for ever.
_MAX_STEPS = 10_000


def announce(function: Callable[..., Any]) -> None:
    """Note a task's function, to look through its annotations and its module when needed."""
    _announced.append(function)


def register_annotations(function: Callable[..., Any]) -> None:
    """
    Register the classes that a task's function mentions, and those that its module declares.

    That is: enums, named tuples, dataclasses, attrs classes and pydantic models, in the
    annotations and defaults of the function, in annotations of their fields, and so on; and all
    such classes that the module of the function defines. What cannot be resolved is skipped.

    Args:
        function: The function as it was written.
    """
    with _lock:
        try:
            _look_through(function)
        except Exception:
            return  # a function so odd that it tells nothing: its classes stay unknown


def find_class(cls: type) -> bool:
    """Look for a class among the tasks announced; tell whether its instances can travel now."""
    _look_through_announced()
    return cls in classes.forms or _is_declared(cls) or _is_neighbour(cls)


def find_name(name: str) -> bool:
    """Look for the class of a name among the tasks announced; tell whether it is known now."""
    _look_through_announced()
    if name in classes.recipes:
        return True
    module, _, qualname = name.partition(":")
    cls = _lookup(local_name(module), qualname)
    return isinstance(cls, type) and classes.wire_name(cls) == name and _is_declared(cls)


def is_owner(cls: type) -> bool:
    """Tell whether a class has methods that are tasks, of its own or inherited."""
    _look_through_announced()
    return any((each.__module__, each.__qualname__) in _owners for each in cls.__mro__)


def find_owner(name: str) -> type | None:
    """Return the class of a name, if it is in a module of tasks and has methods that are tasks."""
    _look_through_announced()
    module, _, qualname = name.partition(":")
    cls = _lookup(local_name(module), qualname)
    found = isinstance(cls, type) and classes.wire_name(cls) == name and is_owner(cls)
    return cls if found else None


def _look_through_announced() -> None:
    with _lock:
        while _announced:
            register_annotations(_announced.pop(0))


def _look_through(function: Any) -> None:
    function = inspect.unwrap(function)
    function = getattr(function, "func", function)
    module, scope = function.__module__, function.__qualname__.rpartition(".")[0]
    if scope.endswith("<locals>"):
        _scopes.add((module, scope))
    elif scope:
        _owners.add((module, scope))
        # A class inside a function stands beside the tasks that its methods are.
        outer = scope.rpartition(".")[0]
        if outer.endswith("<locals>"):
            _scopes.add((module, outer))
    scan = _Scan()
    scan.look_at_function(function)
    if module not in _modules:
        _modules.add(module)
        scan.look_at_module(module)
    scan.run()


def _is_declared(cls: type) -> bool:
    """Register a class that a module of tasks has gained since it was looked through."""
    if _lookup(cls.__module__, cls.__qualname__) is not cls or not classes.register_quietly(cls):
        return False
    scan = _Scan()
    scan.look_at_class(cls)
    scan.run()
    return True


def _is_neighbour(cls: type) -> bool:
    """Register a class that is defined inside a function beside a task."""
    # Annotations that are strings cannot name it: nothing but that function knows its name.
    scope = cls.__qualname__.rpartition(".")[0]
    return (cls.__module__, scope) in _scopes and classes.register_quietly(cls)


def _lookup(module: str, qualname: str) -> Any:
    """Return what a module of tasks holds under a dotted name; runs no code of the module."""
    value: Any = sys.modules.get(module) if module in _modules else None
    for part in qualname.split("."):
        if value is None:
            break  # a long name costs no more than a short one
        value = getattr(value, "__dict__", {}).get(part)
    return value


class _Scan:
    """A walk over annotations: of functions, of the classes they name, of their fields."""

    def __init__(self) -> None:
        self._todo: list[tuple[Any, _Scope]] = []
        self._seen: set[int] = set()
        self._kept: list[Any] = []  # what _seen names by id must not be freed meanwhile

    def look_at_function(self, function: Any) -> None:
        """Note the annotations of a function, and the classes of its defaults."""
        scope = _Scope(getattr(function, "__globals__", {}), closure_of(function))
        self._note(getattr(function, "__annotations__", {}).values(), scope)
        defaults = getattr(function, "__defaults__", None) or ()
        defaults += tuple((getattr(function, "__kwdefaults__", None) or {}).values())
        self._note(map(type, defaults), scope)

    def look_at_module(self, module: str) -> None:
        """Note the classes that a module defines."""
        content = dict(vars(sys.modules[module])) if module in sys.modules else {}
        found = (cls for cls in content.values() if _is_class_of(cls, module))
        self._note(found, _Scope({}, {}))

    def look_at_class(self, cls: type) -> None:
        """Note what the fields of a class are annotated with, and the classes defined in it."""
        for base, found in _annotations_of(cls):
            module = sys.modules.get(base.__module__)
            self._note(found, _Scope(vars(module) if module else {}, vars(base)))
        inner = (value for value in vars(cls).values() if _is_class_of(value, cls.__module__))
        self._note((each for each in inner if each is not cls), _Scope({}, {}))

    def run(self) -> None:
        """Walk until nothing is left, registering what is found."""
        steps = 0
        while self._todo and steps < _MAX_STEPS:
            steps += 1
            annotation, scope = self._todo.pop()
            try:
                self._look_at(annotation, scope)
            except Exception:
                continue  # whatever an annotation is, it must not break a call

    def _look_at(self, annotation: Any, scope: _Scope) -> None:
        if isinstance(annotation, str):
            # The same text means different things in different places.
            self._note([scope.evaluate(annotation)], scope)
            return
        if id(annotation) in self._seen:
            return
        self._seen.add(id(annotation))
        self._kept.append(annotation)
        if isinstance(annotation, type) and not typing.get_args(annotation):
            if classes.register_quietly(annotation) or typing.is_typeddict(annotation):
                self.look_at_class(annotation)
        else:
            self._note(_inside(annotation), scope)

    def _note(self, annotations: Any, scope: _Scope) -> None:
        self._todo += [(annotation, scope) for annotation in annotations]


@dataclasses.dataclass(frozen=True, slots=True)
class _Scope:
    """Where the names in an annotation written as a string are looked up."""

    outer: Mapping[str, Any]
    inner: Mapping[str, Any]

    def evaluate(self, text: str) -> Any:
        """Return what the text stands for; a name that means nothing here stands for ``Any``."""
        # The text is source of this program, the same that typing.get_type_hints() evaluates.
        return eval(text, {}, _Names(self))


class _Names(dict[str, Any]):
    """Names for ``eval``: those of a scope, else ``Any``, so that no gap hides the rest."""

    def __init__(self, scope: _Scope) -> None:
        super().__init__()
        self._scope = scope

    def __missing__(self, name: str) -> Any:
        for names in (self._scope.inner, self._scope.outer, vars(builtins)):
            if name in names:
                return names[name]
        return Any


def _inside(annotation: Any) -> Iterator[Any]:
    """Yield what an annotation that is no class consists of."""
    if isinstance(annotation, list):  # the parameters of a Callable
        yield from annotation
    yield typing.get_origin(annotation)
    yield from typing.get_args(annotation)
    # ForwardRef, TypeVar, NewType, and the aliases of Python 3.12.
    for name in ("__forward_arg__", "__bound__", "__supertype__", "__value__"):
        yield getattr(annotation, name, None)
    yield from getattr(annotation, "__constraints__", ())


def _annotations_of(cls: type) -> Iterator[tuple[type, list[Any]]]:
    """Yield the annotations of the fields of a class, with the class that holds each lot."""
    if is_model(cls):
        yield cls, [field.annotation for field in cls.model_fields.values()]  # type: ignore[attr-defined]
        return
    for base in cls.__mro__:
        yield base, list(inspect.get_annotations(base).values())
    # attrs.make_class() and attr.ib(type=...) leave no annotations.
    yield cls, [field.type for field in getattr(cls, "__attrs_attrs__", ())]


def _is_class_of(value: Any, module: str) -> bool:
    return isinstance(value, type) and value.__module__ == module


def closure_of(function: Any) -> dict[str, Any]:
    """Return the names of enclosing functions that a function uses, with their values."""
    names = getattr(getattr(function, "__code__", None), "co_freevars", ())
    found = {}
    for name, cell in zip(names, getattr(function, "__closure__", None) or (), strict=False):
        try:
            found[name] = cell.cell_contents
        except ValueError:
            continue  # not assigned yet
    return found
