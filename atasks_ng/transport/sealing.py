"""What a transport puts behind each envelope that leaves, and takes from each that comes."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

from ..places.namespaces import namespaces
from ..protocol.envelopes import Refusal, decode
from ..protocol.pieces import Body
from ..protocol.seals import (
    ABOUT_WORKERS,
    WINDOW,
    Checksum,
    Seal,
    about_process,
    about_request,
    outdated,
)
from ..words.errors import AtasksError, BadMessageError, ProtocolError

# What a worker says that cannot open a seal.
_ERROR = "SignatureError"


class Sealing:
    """
    The seals of the codec of a namespace, whichever codec that is now.

    Args:
        namespace: Name of the namespace.

    Attributes:
        is_signing: True if the seal in use is a signature; of the codec that was there when
            something was sealed or opened last.
    """

    __slots__ = (
        "_codec",
        "_namespace",
        "_open",
        "_place",
        "_seal",
        "_unsigned",
        "_with",
        "is_signing",
    )

    def __init__(self, namespace: str) -> None:
        self._namespace = namespace
        self._place = namespaces.get(namespace)
        self._unsigned = Checksum(namespace)
        self._codec: Any = None
        self._use(self._unsigned)

    def _use(self, seal: Seal) -> None:
        self._with = seal
        # What each message needs, looked up once.
        self._seal = seal.seal if seal.takes_pieces else _given_bytes(seal)
        self._open = seal.open
        self.is_signing = seal.signs

    def _resolve(self) -> None:
        """
        Take the seal of the codec that the namespace has now.

        Raises:
            OptionError: The codec must not be used between processes as it is.
        """
        codec = self._place.codec
        # Only what was resolved counts: one that is refused is refused again the next time.
        self._use(self._unsigned if codec is None else codec.seal(self._namespace, codec.name))
        self._codec = codec

    @property
    def signs(self) -> bool:
        """
        True if messages are signed.

        Raises:
            OptionError: The codec must not be used between processes as it is.
        """
        if self._place.codec is not self._codec:
            self._resolve()
        return self.is_signing

    # -- what leaves ---------------------------------------------------------------------------

    def request(self, body: Body, reply_to: str) -> Body:
        """Return a request as it travels; its answer goes to ``reply_to``."""
        if self._place.codec is not self._codec:
            self._resolve()
        return self._seal(body, about_request(reply_to))

    def message(self, body: Body, address: str) -> Body:
        """Return an envelope for one process as it travels."""
        if self._place.codec is not self._codec:
            self._resolve_to_answer()
        return self._seal(body, about_process(address))

    def broadcast(self, body: Body) -> Body:
        """Return an envelope for all workers of a queue as it travels."""
        if self._place.codec is not self._codec:
            self._resolve_to_answer()
        return self._seal(body, ABOUT_WORKERS)

    def refusal(self, body: Body, address: str) -> Body:
        """Return an envelope for a process that cannot sign, about a message of its."""
        return self._unsigned.seal(body, about_process(address))

    # -- what comes ----------------------------------------------------------------------------

    def open_request(self, sealed: bytes, reply_to: str) -> bytes | memoryview:
        """
        Return a request without its seal; it may be an old one, see :meth:`is_outdated`.

        Raises:
            ProtocolError: Its seal is not whole.
        """
        if self._place.codec is not self._codec:
            self._resolve_to_open()
        return self._open(sealed, about_request(reply_to))

    def open_message(self, sealed: bytes, address: str) -> bytes | memoryview:
        """
        Return an envelope for this process, or for all workers, without its seal.

        Raises:
            ProtocolError: Its seal is not whole, or not of now.
        """
        if self._place.codec is not self._codec:
            self._resolve_to_open()
        try:
            body = self._open(sealed, about_process(address))
        except ProtocolError as exc:
            try:
                body = self._open(sealed, ABOUT_WORKERS)
            except ProtocolError:
                raise exc from None
        if self.is_signing and self.is_outdated(sealed):
            raise outdated(self._namespace, self._with.age(sealed))
        return body

    def complaint(self, sealed: bytes, address: str) -> Refusal | None:
        """
        Return what a dropped envelope tells about a call that cannot succeed, or ``None``.

        Somebody who cannot sign says to have refused it, or the clock of who has it is wrong. Or a
        stranger wants that to be believed: it is a hint, for a caller that hears nothing else.
        """
        about = about_process(address)
        try:
            envelope = decode(self._unsigned.open(sealed, about))
            return envelope if type(envelope) is Refusal and envelope.error == _ERROR else None
        except ProtocolError:
            pass
        try:
            id = decode(self._open(sealed, about)).id
            return Refusal(id, _ERROR, [*self.why_outdated(sealed).args])
        except ProtocolError:
            return None

    def is_outdated(self, sealed: bytes) -> bool:
        """Return True if an envelope that was opened was signed too long ago, or in the future."""
        return abs(self._with.age(sealed)) > WINDOW

    def why_outdated(self, sealed: bytes) -> ProtocolError:
        """Return the error about an envelope that is."""
        return outdated(self._namespace, self._with.age(sealed))

    def _resolve_to_answer(self) -> None:
        # What is under way ends, sealed as it began, whatever codec the namespace has meanwhile.
        with contextlib.suppress(AtasksError):
            self._resolve()

    def _resolve_to_open(self) -> None:
        try:
            self._resolve()
        except AtasksError as exc:
            # The codec was replaced by one that must not be used like that: nothing is decoded.
            raise BadMessageError(str(exc)) from exc


def _given_bytes(seal: Seal) -> Callable[[Body, bytes], Body]:
    return lambda body, about: seal.seal(bytes(body), about)
