"""What passes through a link, frame by frame."""

from __future__ import annotations

from collections.abc import Callable

#: Class and method of what the tests look for.
PUBLISH = (60, 40)
DELIVER = (60, 60)
ACK = (60, 80)

_HEADER = b"AMQP\x00\x00\x09\x01"
_METHOD = 1


def method_of(frame: bytes) -> tuple[int, int] | None:
    """Return class and method of a frame; ``None`` for headers, bodies and heartbeats."""
    if frame[0] != _METHOD:
        return None
    return int.from_bytes(frame[7:9]), int.from_bytes(frame[9:11])


class Splitter:
    """Cuts one direction of a connection into frames; the greeting of the client is one, too."""

    def __init__(self) -> None:
        self._rest = b""

    def take(self, data: bytes) -> list[bytes]:
        """Return the frames that are complete now."""
        self._rest += data
        found = []
        while (size := self._size()) is not None and len(self._rest) >= size:
            found.append(self._rest[:size])
            self._rest = self._rest[size:]
        return found

    def _size(self) -> int | None:
        if self._rest.startswith(b"AMQP"):
            return len(_HEADER)
        # Type, channel, and the size of the payload, which an octet ends.
        return int.from_bytes(self._rest[3:7]) + 8 if len(self._rest) >= 7 else None


class FrameFilter:
    """
    Passes whole frames on, one by one, until somebody objects; then nothing more passes.

    Args:
        passes: Asked about each frame, ``(to_server, frame)``.
    """

    def __init__(self, passes: Callable[[bool, bytes], bool]) -> None:
        self._passes = passes
        self._splitters = {True: Splitter(), False: Splitter()}
        self._is_shut = False

    def __call__(self, to_server: bool, data: bytes) -> bytes:
        passed = b""
        for frame in self._splitters[to_server].take(data):
            self._is_shut = self._is_shut or not self._passes(to_server, frame)
            if self._is_shut:
                break
            passed += frame
        return passed
