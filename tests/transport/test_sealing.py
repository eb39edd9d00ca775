"""What leaves is sealed by the codec of the namespace, whoever wrote that."""

from __future__ import annotations

from typing import Any

import pytest

from atasks_ng.codecs import MsgpackCodec
from atasks_ng.protocol.pieces import Pieces
from atasks_ng.protocol.seals import Seal
from atasks_ng.transport.sealing import Sealing

PIECES = Pieces(b"head", b"payload")


class Reversed(Seal):
    """A seal that takes bytes for granted."""

    def seal(self, body: Any, about: bytes) -> bytes:
        sealed: bytes = body[::-1]
        return sealed

    def open(self, sealed: bytes, about: bytes) -> bytes:
        return sealed[::-1]


class ReversedCodec(MsgpackCodec):
    def seal(self, namespace: str, codec: str) -> Seal:
        return Reversed()


@pytest.mark.parametrize(
    "leave",
    [
        lambda sealing: sealing.request(PIECES, "here"),
        lambda sealing: sealing.message(PIECES, "here"),
        lambda sealing: sealing.broadcast(PIECES),
    ],
    ids=["request", "message", "broadcast"],
)
def test_seal_of_a_user_is_given_bytes(leave: Any) -> None:
    ReversedCodec()

    sealed = leave(Sealing("default"))

    assert sealed == b"daolyapdaeh"


def test_seals_of_the_library_keep_pieces() -> None:
    MsgpackCodec()

    sealed = Sealing("default").request(PIECES, "here")

    assert isinstance(sealed, Pieces)
    assert sealed.parts[:2] == PIECES.parts
