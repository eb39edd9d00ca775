"""The arguments of a call, held against the annotations of the function that they are for."""

from __future__ import annotations

import dataclasses
import functools
import inspect
import itertools
import logging
import threading
import types
import typing
from collections.abc import Iterator
from typing import Any

from ..codecs.annotations import closure_of
from ..codecs.paths import type_name
from ..words.modules import import_extra
from .functions import AnyFunction, checker_of

logger = logging.getLogger("atasks_ng.validation")

# Enough to see what is wrong, in an error that may travel.
_MAX_NAMED = 10

_EACH = inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD


def checked(function: AnyFunction, check: AnyFunction) -> AnyFunction:
    """Return a function that runs a check of the arguments, then what it is given."""

    @functools.wraps(function)
    def body(*args: Any, **kwargs: Any) -> Any:
        check(*args, **kwargs)
        return function(*args, **kwargs)

    return body


class Validator:
    """
    Refuse the arguments that a function, or its annotations, would not take.

    Called with the arguments, it returns nothing, or raises a ``TypeError`` that names each wrong
    one. It changes none. What annotations stand for is looked up at the first call, when
    all names in them exist.

    Args:
        function: The function. Its parameters are those that ``inspect.signature`` shows.

    Raises:
        OptionError: The package ``typeguard`` is not installed.
    """

    def __init__(self, function: AnyFunction) -> None:
        self._typeguard = import_extra("typeguard", "validate", "validate=True")
        self._function = function
        self._check_number = checker_of(function)
        self._plan: _Plan | None = None
        self._lock = threading.Lock()

    def __call__(self, /, *args: Any, **kwargs: Any) -> None:
        # First, so that what is missing or too much is told in Python's own words.
        self._check_number(*args, **kwargs)
        plan = self._plan or self._make_plan()
        given = plan.signature.bind_partial(*args, **kwargs).arguments
        misfits = list(itertools.islice(self._misfits(plan, given), _MAX_NAMED + 1))
        if misfits:
            name = getattr(self._function, "__qualname__", type(self._function).__qualname__)
            raise TypeError(_sentence(name, misfits))

    def _make_plan(self) -> _Plan:
        with self._lock:
            if self._plan is None:
                self._plan = _plan_for(self._function)
            return self._plan

    def _misfits(self, plan: _Plan, given: dict[str, Any]) -> Iterator[str]:
        memo: Any = None
        for name, found in given.items():
            expected = plan.expected.get(name)
            if expected is None:
                continue
            for label, value in _values(name, found, expected):
                if type(value) is expected.exact:
                    continue
                memo = memo or self._memo(plan, given)
                detail = self._detail(value, expected.hint, memo)
                if detail is not None:
                    yield _line(label, value, expected, detail)

    def _memo(self, plan: _Plan, given: dict[str, Any]) -> Any:
        """Return what typeguard looks up names in: those in an annotation inside another one."""
        lib = self._typeguard
        config = lib.TypeCheckConfiguration(
            collection_check_strategy=lib.CollectionCheckStrategy.ALL_ITEMS
        )
        # Self means the class of the first argument: methods alone may use it.
        first = next(iter(given.values()))
        owner = first if isinstance(first, type) else type(first)
        return lib.TypeCheckMemo(plan.outer, plan.inner, self_type=owner, config=config)

    def _detail(self, value: Any, hint: Any, memo: Any) -> str | None:
        """Return why a value does not fit, ``None`` if it does."""
        try:
            # Not check_type(): that one looks names up where it is called.
            self._typeguard.check_type_internal(value, hint, memo)
        except self._typeguard.TypeCheckError as exc:
            return " ".join(str(exc).split())
        except Exception as exc:
            # Nobody knows whether it fits, and a caller must not gain by that.
            return f"it cannot be checked: {type(exc).__name__}"
        return None


@dataclasses.dataclass(frozen=True, slots=True)
class _Expected:
    """
    What the value of one parameter must be.

    Attributes:
        hint: The annotation, resolved.
        text: The annotation as it is shown.
        kind: How the parameter is given, as :mod:`inspect` has it.
        exact: A class of which all instances fit, if the annotation is one.
        is_whole: True if the annotation is about all values of a ``*`` or ``**`` parameter.
    """

    hint: Any
    text: str
    kind: Any
    exact: type | None
    is_whole: bool


@dataclasses.dataclass(frozen=True, slots=True)
class _Plan:
    """Parameters with what is expected of them, and the names that annotations are made of."""

    signature: inspect.Signature
    expected: dict[str, _Expected]
    outer: dict[str, Any]
    inner: dict[str, Any]


def _plan_for(function: AnyFunction) -> _Plan:
    outer, inner = _names_for(function)
    expected: dict[str, _Expected] = {}
    try:
        signature = inspect.signature(function)
    except (TypeError, ValueError):
        logger.warning("%r tells no parameters: its arguments are not checked", function)
        signature = inspect.signature(lambda *args, **kwargs: None)
    for name, parameter in signature.parameters.items():
        if parameter.annotation is inspect.Parameter.empty:
            continue
        try:
            hint = _resolved(parameter.annotation, outer, inner)
        except Exception as exc:
            text = "%r: argument %r is not checked, as its annotation %r cannot be resolved: %s"
            logger.warning(text, function, name, parameter.annotation, exc)
            continue
        if (found := _expected(parameter, hint)) is not None:
            expected[name] = found
    return _Plan(signature, expected, outer, inner)


def _expected(parameter: inspect.Parameter, hint: Any) -> _Expected | None:
    whole = _unpacked(hint) if parameter.kind in _EACH else None
    # Of *args: *Ts and *args: P.args nothing is known.
    is_unknown = isinstance(whole, typing.TypeVarTuple) or isinstance(
        hint, (typing.ParamSpecArgs, typing.ParamSpecKwargs)
    )
    if is_unknown or hint is Any:
        return None
    shown = parameter.annotation
    return _Expected(
        hint if whole is None else whole,
        shown if isinstance(shown, str) else inspect.formatannotation(shown),
        parameter.kind,
        hint if _is_exact(hint) else None,
        whole is not None,
    )


def _unpacked(hint: Any) -> Any:
    """Return what an annotation ``*tuple[...]`` or ``Unpack[...]`` unpacks, else ``None``."""
    if typing.get_origin(hint) is typing.Unpack:
        return typing.get_args(hint)[0]
    if getattr(hint, "__unpacked__", False):
        return typing.get_origin(hint)[typing.get_args(hint)]
    return None


def _is_exact(hint: Any) -> bool:
    # A named tuple has fields with annotations of their own.
    return isinstance(hint, type) and not typing.get_args(hint) and not issubclass(hint, tuple)


def _resolved(annotation: Any, outer: dict[str, Any], inner: dict[str, Any]) -> Any:
    """Return an annotation with the names in it looked up, also those inside of others."""
    holder: Any = types.SimpleNamespace(__annotations__={"hint": annotation})
    return typing.get_type_hints(holder, outer, inner, include_extras=True)["hint"]


def _names_for(function: AnyFunction) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the names that mean something where a function was written: global ones, others."""
    source: Any = function
    while isinstance(source, functools.partial):
        source = source.func
    source = inspect.unwrap(source)
    if not hasattr(source, "__globals__"):
        source = getattr(source, "__func__", None) or type(source).__call__
    type_parameters = {each.__name__: each for each in getattr(source, "__type_params__", ())}
    return getattr(source, "__globals__", {}), {**type_parameters, **closure_of(source)}


# -- what is said ------------------------------------------------------------------------------


def _values(name: str, found: Any, expected: _Expected) -> Iterator[tuple[str, Any]]:
    """Yield what is checked of a parameter, and what it is called."""
    if expected.is_whole or expected.kind not in _EACH:
        yield name, found
    elif expected.kind is inspect.Parameter.VAR_POSITIONAL:
        yield from ((f"{name}[{index}]", value) for index, value in enumerate(found))
    else:
        yield from found.items()


def _line(label: str, value: Any, expected: _Expected, detail: str) -> str:
    line = f"{label}: expected {expected.text}, got {type_name(type(value))}"
    # Not the value: errors are kept and shown where values must not be. Keys, and members of sets,
    # are what the detail has for a place.
    return line if _says_all(expected.hint) else f"{line} ({detail})"


def _says_all(hint: Any) -> bool:
    """Tell whether the names of two types are all there is to say."""
    if isinstance(hint, types.UnionType) or typing.get_origin(hint) is typing.Union:
        return all(map(_says_all, typing.get_args(hint)))
    is_rich = typing.is_typeddict(hint) or getattr(hint, "_is_protocol", False)
    return _is_exact(hint) and not is_rich


def _sentence(name: str, misfits: list[str]) -> str:
    lines = misfits[:_MAX_NAMED]
    if len(misfits) > _MAX_NAMED:
        lines.append("and more")
    return f"{name}() got arguments that do not fit its annotations:\n  " + "\n  ".join(lines)
