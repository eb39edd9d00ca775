"""
Context variables across calls.

Within a process a call shares the context of its caller, every variable of it. Over a network
those variables travel that :func:`propagate` names, to the callee and its callees, and back with
the answer; and the W3C trace context does, in a process that has loaded OpenTelemetry.
"""

from __future__ import annotations

import asyncio
import contextlib
import sys
from contextvars import Context, ContextVar, Token
from typing import Any

from ..codecs.base import Codec
from ..places.current import OWN, tokens
from ..protocol.envelopes import Baggage
from ..words.errors import OptionError

_MISSING: Any = object()

_propagated: dict[str, ContextVar[Any]] = {}

# Not a name that a context variable is likely to have.
_TRACE = "w3c "
_UNSET = "unset "


def propagate(*variables: ContextVar[Any]) -> None:
    """
    Let context variables travel with calls over a network.

    Call it on both sides, in the module that makes the variables. A variable travels when it has
    a value; what the callee sets comes back with its answer.

    Args:
        variables: The variables; their names must differ.

    Raises:
        OptionError: Two different variables have one name.
    """
    for variable in variables:
        if _propagated.setdefault(variable.name, variable) is not variable:
            raise OptionError(
                f"another context variable named {variable.name!r} is propagated already: "
                "rename one of them"
            )


def is_needed() -> bool:
    """Return True if anything is to travel; the test that most calls stop at."""
    return bool(_propagated) or "opentelemetry.trace" in sys.modules


def snapshot() -> dict[str, Any]:
    """Return name and value of each propagated variable that has one."""
    values = {name: variable.get(_MISSING) for name, variable in _propagated.items()}
    return {name: value for name, value in values.items() if value is not _MISSING}


async def pack(codec: Codec, before: dict[str, Any] | None = None) -> Baggage | None:
    """
    Return the propagated variables of this context, encoded.

    Args:
        codec: The codec of the call.
        before: Values that the other side knows; what has not changed since does not travel.
    """
    now = snapshot()
    baggage: Baggage = {_UNSET + name: b"" for name in before or () if name not in now}
    for name, value in now.items():
        if before is not None and before.get(name, _MISSING) is value:
            continue
        data = codec.encode(value)
        baggage[name] = data if isinstance(data, bytes) else await data
    if before is None and "opentelemetry.trace" in sys.modules:
        _inject_trace(baggage)
    return baggage or None


async def unpack(codec: Codec, baggage: Baggage | None) -> dict[str, Any]:
    """Set the variables that came with an envelope; return name and value of each."""
    found: dict[str, Any] = {}
    for name, data in (baggage or {}).items():
        variable = _propagated.get(name.removeprefix(_UNSET))
        if variable is None:
            continue
        if name.startswith(_UNSET):
            _unset(variable)
            continue
        value = codec.decode(data)
        if asyncio.iscoroutine(value) or asyncio.isfuture(value):
            value = await value
        _set(variable, value)
        found[name] = value
    if baggage and "opentelemetry.trace" in sys.modules:
        _extract_trace(baggage)
    return found


def absorb(before: Context, after: Context) -> None:
    """Set, and unset, what was in a copy of this context since the copy was made."""
    for variable, value in after.items():
        if variable not in OWN and before.get(variable, _MISSING) is not value:
            _set(variable, value)
    for variable in before:
        if variable not in OWN and variable not in after:
            _unset(variable)


def _set(variable: ContextVar[Any], value: Any) -> None:
    token = variable.set(value)
    if token.old_value is Token.MISSING:
        tokens.set({**tokens.get({}), variable: token})


def _unset(variable: ContextVar[Any]) -> None:
    """Unset a variable that was set for the other side; Python has no way for any other."""
    kept = dict(tokens.get({}))
    token = kept.pop(variable, None)
    if token is None:
        return
    tokens.set(kept)
    # It may belong to another context: the consumer goes on in another asyncio task.
    with contextlib.suppress(ValueError):
        variable.reset(token)


def _inject_trace(baggage: Baggage) -> None:
    from opentelemetry import propagate as w3c  # type: ignore[import-not-found,unused-ignore]

    carrier: dict[str, str] = {}
    w3c.inject(carrier)
    for name, value in carrier.items():
        baggage[_TRACE + name] = value.encode()


def _extract_trace(baggage: Baggage) -> None:
    from opentelemetry import context, propagate  # type: ignore[import-not-found,unused-ignore]

    size = len(_TRACE)
    carrier = {
        name[size:]: value.decode("ascii", "replace")
        for name, value in baggage.items()
        if name.startswith(_TRACE)
    }
    if carrier:
        context.attach(propagate.extract(carrier))
