"""Bodies that come to this process: parted, taken out of their seals, and brought to the router."""

from __future__ import annotations

from ....protocol import envelopes
from ....words.errors import ProtocolError
from ...base import Receiver
from ...sealing import Sealing
from .parcels import Returned, part


def bring(body: bytes, sealing: Sealing, address: str, receiver: Receiver) -> None:
    """
    Bring what came to a process to its router, each envelope by itself.

    Args:
        body: One envelope, or several that were joined, in their seals.
        sealing: Opens them.
        address: That of the process.
        receiver: The router.
    """
    for each in part(body):
        try:
            envelope = sealing.open_message(each, address)
        except ProtocolError as exc:
            receiver.on_refused(exc, sealing.complaint(each, address))
        else:
            receiver.on_envelope(envelope)


def ids_of(returned: Returned, sealing: Sealing, receiver: Receiver) -> list[str]:
    """Return which calls the answers are about that came back, since nobody is there."""
    bodies = part(returned.body)
    if len(bodies) == 1:
        return [returned.id or ""]
    try:
        opened = [sealing.open_message(body, returned.key) for body in bodies]
        return [envelopes.decode(body).id for body in opened]
    except ProtocolError as exc:
        # Not what this process has sent.
        receiver.on_refused(exc)
        return []
