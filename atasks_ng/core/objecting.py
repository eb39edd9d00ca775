"""Why a request cannot be performed, though it can be read."""

from __future__ import annotations

from ..places.namespaces import Namespace
from ..protocol import envelopes
from ..words import errors


def objection(
    request: envelopes.Request, namespace: Namespace, worker: str
) -> errors.AtasksError | None:
    """
    Return why a worker cannot perform a request, or ``None`` if it can.

    Args:
        request: What was asked.
        namespace: Whose tasks and codec the worker has.
        worker: Its name.
    """
    codec = namespace.codec
    if namespace.registry.get(request.task) is None:
        return errors.UnknownTaskError(request.task, namespace.name, worker)
    if codec is None:
        return errors.NoCodecError(namespace.name)
    if codec.name != request.codec:
        return errors.IncompatibleError("codec", request.codec, codec.name)
    return None


def refusal(id: str, error: errors.AtasksError) -> envelopes.Refusal:
    """Return what the caller of a call is told of an error of this side."""
    args = list(error.args)
    if isinstance(error, errors.IncompatibleError):
        # As the caller sees it: theirs and ours change places.
        args = [error.what, error.ours, error.theirs]
    return envelopes.Refusal(id, type(error).__name__, args)
