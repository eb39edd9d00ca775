"""
A world without sockets: machines of ours, a broker of a few lines, links that fail, and a clock.

One seed decides everything: when messages arrive, when links are cut, workers killed, and the
broker restarted. The same seed gives the same world, step by step.

The broker here does what RabbitMQ does with what the transport asks of it: a queue of transient
requests that are handed out within a window and come back, marked, when the link of a worker is
lost; an inbox for each process that outlives its link; nothing that outlives a restart of the
broker but the inboxes' names.
"""

from __future__ import annotations

import dataclasses
import heapq
import itertools
import random
from collections import Counter, deque
from collections.abc import Callable
from typing import Any

from atasks_ng.protocol import actions as act
from atasks_ng.protocol.callee import Callee
from atasks_ng.protocol.caller import Caller
from atasks_ng.protocol.calls import IncomingCall, OutgoingCall
from atasks_ng.protocol.envelopes import Cancel, Request, Value, Who
from atasks_ng.protocol.tables import GO
from atasks_ng.words.errors import WorkerLostError


@dataclasses.dataclass(frozen=True)
class Weather:
    """What goes wrong, and how often."""

    calls: int = 30
    workers: int = 2
    window: int = 8
    kills: int = 2
    cuts: int = 3
    caller_cuts: int = 2
    restarts: int = 1
    cancels: int = 3
    poison: int = 0
    #: Faults happen within these first seconds.
    stormy: float = 20.0


@dataclasses.dataclass
class Frame:
    """What is under way on a link."""

    kind: str
    target: str
    content: Any
    tag: int = 0


class Link:
    """The link of one process: in order both ways, until it is cut."""

    def __init__(self, world: World, owner: Any) -> None:
        self._world = world
        self.owner = owner
        self.up = True
        self.up_since = 0.0
        self.epoch = 0
        self._sent_until = 0.0
        self._came_until = 0.0

    def to_broker(self, frame: Frame) -> None:
        if self.up:
            self._sent_until = self._later(self._sent_until)
            self._travel(self._sent_until, lambda: self._world.broker.take(self, frame))

    def to_owner(self, frame: Frame) -> None:
        self._came_until = self._later(self._came_until)
        self._travel(self._came_until, lambda: self.owner.take(frame))

    def cut(self) -> None:
        self.up = False
        self.epoch += 1
        self._world.broker.forget(self)
        self.owner.unlinked()

    def mend(self) -> None:
        if not self.up and self.owner.alive:
            self.up = True
            self.up_since = self._world.now
            self._world.broker.greet(self)
            self.owner.relinked()

    def _later(self, after: float) -> float:
        return max(after, self._world.now) + self._world.random.uniform(0.0005, 0.02)

    def _travel(self, when: float, arrive: Callable[[], None]) -> None:
        epoch = self.epoch

        def unless_cut() -> None:
            if self.up and self.epoch == epoch:
                arrive()

        self._world.at(when, unless_cut)


class Broker:
    """Requests for workers, inboxes for everybody."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._requests: deque[tuple[Any, bool]] = deque()
        self._unacked: dict[Link, dict[int, Any]] = {}
        self._inboxes: dict[str, deque[Frame]] = {}
        self._inflight: dict[Link, dict[int, Frame]] = {}
        self._tags = itertools.count(1)
        self.dead: list[str] = []

    @property
    def depth(self) -> int:
        return len(self._requests) + sum(map(len, self._unacked.values()))

    def held_by(self, link: Link) -> list[str]:
        return [request.id for request in self._unacked.get(link, {}).values()]

    def greet(self, link: Link) -> None:
        self._inflight[link] = {}
        if link.owner.serves:
            self._unacked[link] = {}
        self._inboxes.setdefault(link.owner.address, deque())
        self._hand_out()
        self._empty(link)

    def forget(self, link: Link) -> None:
        for request in reversed(self._unacked.pop(link, {}).values()):
            self._requests.appendleft((request, True))
        back = self._inflight.pop(link, {})
        box = self._inboxes.get(link.owner.address)
        if box is not None:
            box.extendleft(reversed(back.values()))
        self._hand_out()

    def bury_owner(self, address: str) -> None:
        self._inboxes.pop(address, None)

    def restart(self) -> None:
        self._requests.clear()
        self._unacked.clear()
        self._inflight.clear()
        self._inboxes = {address: deque() for address in self._inboxes}

    def take(self, link: Link, frame: Frame) -> None:
        if frame.kind == "request":
            self._requests.append((frame.content, False))
            self._hand_out()
        elif frame.kind == "inbox":
            self._post(frame, link)
        elif frame.kind == "workers":
            for other in list(self._unacked):
                self._post(Frame("inbox", other.owner.address, frame.content), link)
        elif frame.kind == "ack":
            self._unacked.get(link, {}).pop(frame.tag, None)
            self._hand_out()
        elif frame.kind == "requeue":
            request = self._unacked.get(link, {}).pop(frame.tag, None)
            if request is not None:
                self._requests.appendleft((request, True))
                self._hand_out()
        elif frame.kind == "inbox ack":
            self._inflight.get(link, {}).pop(frame.tag, None)
        elif frame.kind == "dead":
            self.dead.append(frame.content)

    def _post(self, frame: Frame, sender: Link) -> None:
        box = self._inboxes.get(frame.target)
        if box is None:
            sender.to_owner(Frame("returned", frame.target, frame.content))
            return
        box.append(frame)
        for link in list(self._inflight):
            if link.owner.address == frame.target:
                self._empty(link)

    def _empty(self, link: Link) -> None:
        box = self._inboxes[link.owner.address]
        while box:
            frame = box.popleft()
            frame = Frame("inbox", frame.target, frame.content, next(self._tags))
            self._inflight[link][frame.tag] = frame
            link.to_owner(frame)

    def _hand_out(self) -> None:
        links = [link for link in self._unacked if link.owner.takes]
        self._world.random.shuffle(links)
        while self._requests:
            free = [link for link in links if len(self._unacked[link]) < link.owner.window]
            if not free:
                return
            request, again = self._requests.popleft()
            tag = next(self._tags)
            self._unacked[free[0]][tag] = request
            free[0].to_owner(Frame("request", "", (request, again), tag))


class CallerProcess:
    """One process that awaits calls."""

    serves = False
    alive = True

    def __init__(self, world: World) -> None:
        self._world = world
        self.address = "caller"
        self.machine = Caller()
        self.link = Link(world, self)
        self._ticking = False
        world.broker.greet(self.link)
        world.every(5.0, lambda: self.carry_out(self.machine.sweep(world.now)))

    def call(self, id: str) -> None:
        call = OutgoingCall(id, "task", "default", "default")
        self.machine.open(call, self._world.now)
        self.send(call)

    def send(self, call: OutgoingCall) -> None:
        content = Request(call.id, "task", "c", None, 0, None, call.id, 0, call.sent, 1, None, b"")
        self.link.to_broker(Frame("request", "", content))

    def cancel(self, id: str) -> None:
        call = self.machine.calls.get(id)
        if call is not None:
            self.carry_out(self.machine.cancel(call, None, self._world.now))

    def take(self, frame: Frame) -> None:
        if frame.kind == "returned":
            return
        self.link.to_broker(Frame("inbox ack", "", None, frame.tag))
        self.carry_out(self.machine.receive(frame.content, self._world.now))

    def relinked(self) -> None:
        self.carry_out(self.machine.relinked(self._world.now))

    def unlinked(self) -> None:
        self.carry_out(self.machine.unlinked(self._world.now))

    def carry_out(self, actions: list[act.Action]) -> None:
        for action in actions:
            self._do(action)
        self._world.wake_for(self.machine, self.carry_out)

    def _do(self, action: act.Action) -> None:
        match action:
            case act.Send(call):
                self.send(call)
            case act.SendCancel(call, reason):
                self.link.to_broker(Frame("workers", "", Cancel(call.id, reason, None)))
            case act.SendWho(call):
                self.link.to_broker(Frame("workers", "", Who(call.id, self.address)))
            case act.SendTell(origin, tell):
                self.link.to_broker(Frame("inbox", origin, tell))
            case act.End(call, outcome):
                self._world.ended(call.id, outcome)
            case act.Warn():
                pass
            case _:
                raise AssertionError(f"a caller cannot do {action!r}")


class WorkerProcess:
    """One process that performs calls; when it is killed, another takes its place."""

    serves = True

    def __init__(self, world: World, name: str) -> None:
        self._world = world
        self.address = self.name = name
        self.window = world.weather.window
        self.alive = True
        self.takes = True
        self.machine = Callee(name, self.window, name)
        self.link = Link(world, self)
        self._bodies: dict[str, int] = {}
        self.told: set[str] = set()
        self.delivered_at: dict[str, float] = {}
        world.broker.greet(self.link)
        world.every(1.0, lambda: self.carry_out(self.machine.sweep(world.now)))

    def take(self, frame: Frame) -> None:
        if not self.alive:
            return
        now = self._world.now
        if frame.kind == "request":
            request, again = frame.content
            call = IncomingCall(request, "default", lost=again)
            self.delivered_at.setdefault(call.id, now)
            call.delivery = (self.link, self.link.epoch, frame.tag)
            self.carry_out(self.machine.deliver(call, now))
            return
        if frame.kind == "returned":
            self.carry_out(self.machine.gone(frame.content.id, now))
            return
        self.link.to_broker(Frame("inbox ack", "", None, frame.tag))
        match frame.content:
            case Cancel() as cancel:
                self.carry_out(self.machine.cancel(cancel, now))
            case Who() as who:
                self.carry_out(self.machine.who(who, now))
            case tell:
                if tell.verdict == GO:
                    self.told.add(tell.id)
                self.carry_out(self.machine.tell(tell, now))

    def relinked(self) -> None:
        """Unacknowledged requests come back by themselves."""

    def unlinked(self) -> None:
        self.carry_out(self.machine.unlinked(self._world.now))

    def kill(self) -> None:
        self.alive = False
        self.link.cut()

    def carry_out(self, actions: list[act.Action]) -> None:
        if not self.alive:
            return
        for action in actions:
            self._do(action)
        self._world.wake_for(self.machine, self.carry_out)

    def _do(self, action: act.Action) -> None:
        match action:
            case act.Start(call):
                self._start(call)
            case act.Interrupt(call, _):
                run = self._bodies.get(call.id, 0)
                self._world.after(0.01, lambda: self._body_ended(call, run))
            case act.Say(_, envelope):
                self._post("caller", envelope)
            case act.SayTo(address, id, body):
                self._post(address, Value(id, 0, None, body))
            case act.Answer(call, envelope):
                self._answer(call, envelope)
            case act.AnswerAgain(call, body):
                self._answer(call, Value(call.id, 0, None, body))
            case act.HandBack(call):
                self._settle(call, "requeue")
            case act.FreeSlot(call):
                self._free(call)
            case act.Look(call):
                self._world.after(0.01, lambda: self._looked(call))
            case act.Widen(_, change):
                self.window += change
            case act.Bury(call, _):
                self.link.to_broker(Frame("dead", "", call.id))
                self._settle(call, "ack")
            case _:
                raise AssertionError(f"a worker cannot do {action!r}")

    def _looked(self, call: IncomingCall) -> None:
        listening = self._world.caller.link.up
        self.carry_out(self.machine.looked(call, listening, self._world.now))

    def _start(self, call: IncomingCall) -> None:
        run = self._world.started(self, call)
        self._bodies[call.id] = run
        if call.id in self._world.poison:
            self._world.after(0.02, lambda: self._world.kill(self))
            return
        duration = self._world.random.choice((0.0, 0.01, 0.1, 1.0, 3.0))
        self._world.after(duration, lambda: self._body_ended(call, run))

    def _body_ended(self, call: IncomingCall, run: int) -> None:
        if not self.alive or self._bodies.get(call.id) != run:
            return
        del self._bodies[call.id]
        now = self._world.now
        self.carry_out(self.machine.body_ended(call, now))
        self._free(call)
        answer = Value(call.id, 0, None, b"value of " + call.id.encode())
        self.carry_out(self.machine.answered(call, answer, now))

    def _free(self, call: IncomingCall) -> None:
        for who in self.machine.slots.release(call):
            assert isinstance(who, IncomingCall)
            self.carry_out(self.machine.granted(who, self._world.now))

    def _answer(self, call: IncomingCall, envelope: Any) -> None:
        if envelope is not None:
            self._post("caller", envelope)
            if isinstance(envelope, Value):
                self.machine.sent(call, envelope.payload)
        self._settle(call, "ack")

    def _settle(self, call: IncomingCall, how: str) -> None:
        link, epoch, tag = call.delivery
        if link.epoch == epoch:
            link.to_broker(Frame(how, "", None, tag))

    def _post(self, address: str, envelope: Any) -> None:
        self.link.to_broker(Frame("inbox", address, envelope))


class World:
    """Everything, and the clock."""

    worker_class = WorkerProcess
    caller_class = CallerProcess

    def __init__(self, seed: int, weather: Weather) -> None:
        self.random = random.Random(seed)
        self.weather = weather
        self.now = 0.0
        self.broker = Broker(self)
        self.starts: Counter[str] = Counter()
        self.outcomes: dict[str, Any] = {}
        self.ended_at: dict[str, float] = {}
        self.faults: list[str] = []
        self.lost_runs: Counter[str] = Counter()
        self.presumed: Counter[str] = Counter()
        self.lost_answers: Counter[str] = Counter()
        self.caller_cut_at = -100.0
        self._queue: list[tuple[float, int, Callable[[], None]]] = []
        self._order = itertools.count()
        self._names = itertools.count(1)
        self._woken: dict[Any, float] = {}
        self.ids = [f"call-{n}" for n in range(weather.calls)]
        self.poison = set(self.ids[: weather.poison])
        self.workers = [self._new_worker() for _ in range(weather.workers)]
        self.caller = self.caller_class(self)
        self._plan()

    # -- time ----------------------------------------------------------------------------------

    def at(self, when: float, what: Callable[[], None]) -> None:
        heapq.heappush(self._queue, (when, next(self._order), what))

    def after(self, delay: float, what: Callable[[], None]) -> None:
        self.at(self.now + delay, what)

    def every(self, period: float, what: Callable[[], None]) -> None:
        def again() -> None:
            what()
            self.after(period, again)

        self.after(period, again)

    def wake_for(self, machine: Any, carry_out: Callable[[list[act.Action]], None]) -> None:
        when = machine.next_tick()
        if when is None or self._woken.get(machine, 1e9) <= when:
            return
        self._woken[machine] = when

        def wake() -> None:
            self._woken.pop(machine, None)
            carry_out(machine.tick(self.now))

        self.at(max(when, self.now), wake)

    def run(self, until: float) -> None:
        while self._queue and self._queue[0][0] <= until:
            self.now, _, what = heapq.heappop(self._queue)
            what()

    # -- faults --------------------------------------------------------------------------------

    def _plan(self) -> None:
        weather, chance = self.weather, self.random
        for id in self.ids:
            self.at(chance.uniform(0, weather.stormy / 2), lambda id=id: self.caller.call(id))
        for id in chance.sample(self.ids, weather.cancels):
            self.at(chance.uniform(0, weather.stormy), lambda id=id: self.caller.cancel(id))
        for count, fault in (
            (weather.kills, self._kill_one),
            (weather.cuts, self._cut_one),
            (weather.caller_cuts, self._cut_caller),
            (weather.restarts, self._restart),
        ):
            for _ in range(count):
                self.at(chance.uniform(0.5, weather.stormy), fault)

    def _kill_one(self) -> None:
        if self.workers:
            self.kill(self.random.choice(self.workers))

    def kill(self, worker: WorkerProcess) -> None:
        if worker.alive:
            self._note(f"killed {worker.name}", worker)
            worker.kill()
            self.workers.remove(worker)
            self.after(60.0, lambda: self.broker.bury_owner(worker.address))
            self.after(self.random.uniform(0.1, 2.0), self._add_worker)

    def _cut_one(self) -> None:
        if not self.workers:
            return
        self._cut(self.random.choice(self.workers).link)

    def _cut(self, link: Link) -> None:
        if link.up:
            self._note("cut a link", link.owner)
            if link is self.caller.link:
                self.caller_cut_at = self.now
            link.cut()
            self.after(self.random.uniform(0.05, 1.5), link.mend)

    def _restart(self) -> None:
        self.faults.append(f"{self.now:.2f} restarted the broker")
        for worker in self.workers:
            self._lose(worker)
        # Answers that were with the broker are gone as well.
        self.lost_answers.update(list(self.caller.machine.calls))
        for owner in (self.caller, *self.workers):
            self._cut(owner.link)
        self.broker.restart()

    def _cut_caller(self) -> None:
        self._cut(self.caller.link)

    def _note(self, what: str, owner: Any) -> None:
        self.faults.append(f"{self.now:.2f} {what} of {owner.address}")
        if isinstance(owner, WorkerProcess):
            self._lose(owner)

    def _lose(self, worker: WorkerProcess) -> None:
        held = {*self.broker.held_by(worker.link), *worker.machine.calls}
        self.lost_runs.update(sorted(held))

    def _add_worker(self) -> None:
        self.workers.append(self._new_worker())

    def _new_worker(self) -> WorkerProcess:
        return self.worker_class(self, f"worker-{next(self._names)}")

    # -- what is checked -----------------------------------------------------------------------

    def started(self, worker: WorkerProcess, call: IncomingCall) -> int:
        self.starts[call.id] += 1
        ended = self.ended_at.get(call.id)
        asked = call.lost or call.request.sent > 1
        if asked and call.id not in worker.told:
            # A caller that could not be heard for 2 s is presumed to wait.
            silent = self.now - worker.delivered_at[call.id] >= 1.99
            if silent and self.now - self.caller_cut_at < 5.0:
                self.presumed[call.id] += 1
        # 3 s: a caller whose link is away cannot answer, and counts as waiting after 2 s.
        heard = self.caller.link.up and self.now - self.caller.link.up_since > 3.0
        if asked and heard and ended is not None and self.now - ended > 3.0:
            raise AssertionError(f"{call.id} was started {self.now - ended:.1f} s after its end")
        return self.starts[call.id]

    def ended(self, id: str, outcome: Any) -> None:
        if id in self.outcomes:
            raise AssertionError(f"{id} ended twice")
        self.outcomes[id] = outcome
        self.ended_at[id] = self.now

    def check(self) -> None:
        """Hold the invariants, when all is quiet again."""
        missing = [id for id in self.ids if id not in self.outcomes]
        assert not missing, f"never ended: {missing}"
        for id, outcome in self.outcomes.items():
            if isinstance(outcome, Value):
                assert outcome.payload in (b"value of " + id.encode(),), f"{id}: wrong value"
            elif isinstance(outcome, WorkerLostError):
                assert id in self.poison or self.lost_runs[id] >= 3, f"{id} was condemned"
        for id in self.poison:
            assert isinstance(self.outcomes[id], WorkerLostError | None), self.outcomes[id]
            assert self.starts[id] <= 3, f"poison {id} cost {self.starts[id]} workers"
        for id, count in self.starts.items():
            causes = self.lost_runs[id] + self.presumed[id] + self.lost_answers[id]
            assert count - 1 <= causes, f"{id} ran {count} times, with {causes} causes"
        assert not self.caller.machine.calls
        assert not any(worker.machine.calls for worker in self.workers)
        assert self.broker.depth == 0, f"{self.broker.depth} requests are left"
