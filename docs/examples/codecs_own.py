"""A codec of one's own: another one's bytes, compressed."""

import asyncio
import zlib
from typing import Any

from atasks_ng import atask, connect, errors
from atasks_ng.codecs import MsgpackCodec

LARGEST_BYTES = 100 * 1024 * 1024


class ZlibCodec(MsgpackCodec):
    """Values as ``MsgpackCodec`` has them, compressed."""

    def encode(self, obj: Any) -> bytes:
        return zlib.compress(super().encode(obj))

    def decode(self, content: bytes) -> Any:
        # What came over a network may claim anything: bound what it can cost.
        unpacker = zlib.decompressobj()
        plain = unpacker.decompress(content, LARGEST_BYTES)
        if unpacker.unconsumed_tail:
            raise errors.DecodeError(f"a payload of more than {LARGEST_BYTES} bytes")
        return super().decode(plain)


codec = ZlibCodec(namespace="packed")


@atask(namespace="packed")
async def repeat(text: str, times: int) -> str:
    return text * times


async def main() -> None:
    async with connect("loopback://", namespace="packed"):
        text = await repeat("again ", 1_000)
    print(len(text), "characters")
    print("less than a tenth on the wire:", 10 * len(codec.encode(text)) < len(text))


if __name__ == "__main__":
    asyncio.run(main())
