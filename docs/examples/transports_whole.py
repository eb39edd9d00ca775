"""A transport of one's own, the whole way: messages are files in a folder that all can reach."""

import asyncio
import itertools
import json
import tempfile
import time
from collections.abc import AsyncIterator
from contextvars import Context
from pathlib import Path
from urllib.parse import urlsplit

from atasks_ng import atask, errors, serve
from atasks_ng.transport import Transport, register_scheme
from atasks_ng.transport.base import NESTED, PROCESS, ROOT, WORKERS, Delivery, Message
from atasks_ng.words.ids import new_id

EVERY = 0.005  # seconds between two looks into the folder


class FolderTransport(Transport):
    """
    Carry calls through a folder.

    It does not do one thing that it should: give the calls of a process that died to another one.
    """

    seals = True  # what is written is sealed by the codec, what is read is opened

    def __init__(self, namespace: str = "default", url: str = "folder:///tmp/calls") -> None:
        super().__init__(namespace)
        self.address = new_id()
        self._folder = Path(urlsplit(url).path, namespace)
        self._numbers = itertools.count()
        self._windows: dict[tuple[str, str], int] = {}  # (kind, queue): calls it may hold
        self._suspended: dict[tuple[str, str], int] = {}
        self._held: dict[tuple[str, str], int] = {}
        self._looking: asyncio.Task[None] | None = None

    async def connect(self) -> None:
        self._place(PROCESS, self.address)
        self._looking = asyncio.create_task(self._look())

    async def disconnect(self) -> None:
        await self.stop_consuming()
        if self._looking is not None:
            self._looking.cancel()
            self._looking = None

    # -- sending: never waits

    def post(self, message: Message) -> None:
        if self._looking is None:
            raise errors.NotConnectedError(self.namespace)
        head = {"id": message.id, "reply_to": self.address}
        if message.kind == WORKERS:
            for worker in self._place("serving", message.target).iterdir():
                self._put(PROCESS, worker.name, head, self.sealing.broadcast(message.body))
        elif message.kind == PROCESS:
            sealed = self.sealing.message(message.body, message.target)
            self._put(PROCESS, message.target, head, sealed)
        elif any(self._place("serving", message.target).iterdir()):
            sealed = self.sealing.request(message.body, self.address)
            self._put(message.kind, message.target, head, sealed)
        else:
            asyncio.get_running_loop().call_soon(self.receiver.on_returned, message)

    def _put(self, kind: str, target: str, head: dict[str, str], body: bytes) -> None:
        # Names in the order of the posts; renamed into place, so that nobody reads half a file.
        name = f"{time.time_ns():020}-{self.address}-{next(self._numbers)}"
        draft = self._place("drafts", self.address) / name
        draft.write_bytes(json.dumps(head).encode() + b"\n" + body)
        draft.rename(self._place(kind, target) / name)

    # -- receiving

    async def consume(self, queue: str, window: int) -> None:
        (self._place("serving", queue) / self.address).touch()
        for kind in (ROOT, NESTED):
            self._windows[kind, queue] = window

    async def stop_consuming(self) -> None:
        for queue in {queue for _, queue in self._windows}:
            (self._place("serving", queue) / self.address).unlink(missing_ok=True)
        self._windows.clear()

    def widen(self, queue: str, *, nested: bool, suspended: int) -> None:
        # Calls that wait for others hold no slot; without this, deep recursion would get stuck.
        self._suspended[NESTED if nested else ROOT, queue] = suspended

    async def _look(self) -> None:
        while True:
            for file in self._files(PROCESS, self.address):
                body = file.read_bytes().partition(b"\n")[2]
                file.unlink()
                self._open(body)
            for place in list(self._windows):
                self._take_requests(place)
            await asyncio.sleep(EVERY)

    def _open(self, sealed: bytes) -> None:
        try:
            envelope = self.sealing.open_message(sealed, self.address)
        except errors.ProtocolError as exc:
            self.receiver.on_refused(exc, self.sealing.complaint(sealed, self.address))
        else:
            self.receiver.on_envelope(envelope)

    def _take_requests(self, place: tuple[str, str]) -> None:
        for file in self._files(*place):
            room = self._windows.get(place, 0) + self._suspended.get(place, 0)
            if self._held.get(place, 0) >= room:
                return
            mine = self._place("held", self.address) / file.name
            try:
                file.rename(mine)
            except FileNotFoundError:
                continue  # another worker was quicker
            self._held[place] = self._held.get(place, 0) + 1
            self.receiver.on_request(FolderDelivery(self, mine, file, place))

    def _files(self, kind: str, target: str) -> list[Path]:
        return sorted(self._place(kind, target).iterdir())

    def _place(self, kind: str, target: str) -> Path:
        place = self._folder / kind / target
        place.mkdir(parents=True, exist_ok=True)
        return place

    # -- for deliveries

    def answer(self, head: dict[str, str], body: bytes, *, refused: bool) -> None:
        # What could not be opened is not answered with a signature.
        seal = self.sealing.refusal if refused else self.sealing.message
        self._put(PROCESS, head["reply_to"], head, seal(body, head["reply_to"]))

    def let_go(self, place: tuple[str, str]) -> None:
        self._held[place] -= 1


class FolderDelivery(Delivery):
    __slots__ = ("_head", "_mine", "_origin", "_place", "_transport")

    def __init__(
        self, transport: FolderTransport, mine: Path, origin: Path, place: tuple[str, str]
    ) -> None:
        head, _, body = mine.read_bytes().partition(b"\n")
        self._head = json.loads(head)
        kind, queue = self._place = place
        super().__init__(b"", id=self._head["id"], queue=queue, nested=kind == NESTED)
        self.unseal(body, transport.sealing, self._head["reply_to"])
        self._transport, self._mine, self._origin = transport, mine, origin

    def say(self, envelope: bytes, context: Context | None = None) -> None:
        self._transport.answer(self._head, envelope, refused=self.fault is not None)

    def finish(self, answer: bytes | None, context: Context | None = None) -> None:
        if answer is not None:
            self.say(answer)
        # Only now: until the answer is out, the request is what brings it about.
        self._mine.unlink()
        self._transport.let_go(self._place)

    def hand_back(self) -> None:
        self._mine.rename(self._origin)
        self._transport.let_go(self._place)


register_scheme("folder", FolderTransport)


@atask
async def fibonacci(n: int) -> int:
    if n < 2:
        return n
    return sum(await asyncio.gather(fibonacci(n - 1), fibonacci(n - 2)))


@atask
async def count(n: int) -> AsyncIterator[int]:
    for i in range(n):
        yield i


async def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        async with serve(f"folder://{folder}", concurrency=1):
            print("nested calls in one slot:", await fibonacci(5))
            print("an async generator:", [i async for i in count(3)])


if __name__ == "__main__":
    asyncio.run(main())
