"""Why a request cannot be performed, though it can be read."""

from __future__ import annotations

from ..places.namespaces import Namespace
from ..protocol import envelopes


def objection(
    request: envelopes.Request, namespace: Namespace, worker: str
) -> envelopes.Refusal | None:
    """
    Return the answer to a request that a worker cannot perform, or ``None`` if it can.

    Args:
        request: What was asked.
        namespace: Whose tasks and codec the worker has.
        worker: Its name.
    """
    codec = namespace.codec
    if namespace.registry.get(request.task) is None:
        what = [request.task, namespace.name, worker]
        return envelopes.Refusal(request.id, "UnknownTaskError", what)
    if codec is None:
        return envelopes.Refusal(request.id, "NoCodecError", [namespace.name])
    if codec.name != request.codec:
        what = ["codec", codec.name, request.codec]
        return envelopes.Refusal(request.id, "IncompatibleError", what)
    return None
