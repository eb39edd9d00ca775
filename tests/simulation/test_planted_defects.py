"""The simulation finds what it is there to find: each planted defect is caught by some seed."""

from __future__ import annotations

from typing import Any

import pytest

from atasks_ng.protocol import actions as act
from atasks_ng.protocol.callee import Callee
from atasks_ng.protocol.caller import Caller
from atasks_ng.protocol.calls import IncomingCall, OutgoingCall

from .test_simulation import WEATHERS, simulate
from .world import CallerProcess, Frame, Weather, WorkerProcess, World

SEEDS = 150


class _AcksFirst(WorkerProcess):
    def take(self, frame: Frame) -> None:
        super().take(frame)
        if frame.kind == "request":
            self.link.to_broker(Frame("ack", "", None, frame.tag))


class _NewIdentity(CallerProcess):
    def send(self, call: OutgoingCall) -> None:
        if call.sent > 1:
            twin = OutgoingCall(f"{call.id} again", call.task, call.namespace, call.queue)
            super().send(twin)
        else:
            super().send(call)


class _NeverSendsAgain(CallerProcess):
    def relinked(self) -> None:
        pass

    def carry_out(self, actions: list[act.Action]) -> None:
        super().carry_out([a for a in actions if not (isinstance(a, act.Send) and a.call.sent > 1)])


class _Forgetful(Callee):
    def deliver(self, call: IncomingCall, now: float) -> list[act.Action]:
        self.calls.pop(call.id, None)
        self._answers.clear()
        return super().deliver(call, now)


class _NeverAsks(Callee):
    def deliver(self, call: IncomingCall, now: float) -> list[act.Action]:
        address, self.address = self.address, None
        try:
            return super().deliver(call, now)
        finally:
            self.address = address


class _LetsEverybodyGo(Caller):
    def _note_holder(self, call: Any, now: float, data: Any, actions: list[act.Action]) -> None:
        call.heard_at = now


class _NeverConvicts(Caller):
    def _grant(self, call: Any, now: float, data: Any, actions: list[act.Action]) -> None:
        call.convicts = False
        call.attempt = 1
        super()._grant(call, now, data, actions)


def _world(
    *,
    worker: type[WorkerProcess] = WorkerProcess,
    caller: type[CallerProcess] = CallerProcess,
    callee: type[Callee] | None = None,
    caller_machine: type[Caller] | None = None,
) -> type[World]:
    class Worker(worker):  # type: ignore[misc, valid-type]
        def __init__(self, world: World, name: str) -> None:
            super().__init__(world, name)
            if callee is not None:
                self.machine = callee(name, self.window, name)

    class Process(caller):  # type: ignore[misc, valid-type]
        def __init__(self, world: World) -> None:
            super().__init__(world)
            if caller_machine is not None:
                self.machine = _with_steps_of(caller_machine)

    class Planted(World):
        worker_class = Worker
        caller_class = Process

    return Planted


def _with_steps_of(machine: type[Caller]) -> Caller:
    """Return a machine whose overridden steps are used, though the table names the originals."""
    from atasks_ng.protocol import caller as module

    class Bound(machine):  # type: ignore[misc, valid-type]
        def _happen(self, call: Any, event: str, now: float, data: Any = None) -> list[act.Action]:
            saved = dict(module._STEPS)
            for step in module._STEPS:
                module._STEPS[step] = getattr(machine, f"_{step}")
            try:
                return super()._happen(call, event, now, data)
            finally:
                module._STEPS.update(saved)

    return Bound()


DEFECTS: dict[str, tuple[type[World], Weather]] = {
    "acknowledges before it runs": (_world(worker=_AcksFirst), WEATHERS["kills"]),
    "sends again under a new identity": (_world(caller=_NewIdentity), WEATHERS["cuts"]),
    "never sends again": (_world(caller=_NeverSendsAgain), WEATHERS["restarts"]),
    "forgets what it runs and has answered": (_world(callee=_Forgetful), WEATHERS["cuts"]),
    "runs redelivered calls without asking": (_world(callee=_NeverAsks), WEATHERS["cuts"]),
    "ignores that another worker has it": (
        _world(caller_machine=_LetsEverybodyGo),
        WEATHERS["cuts"],
    ),
    "never gives up a call that kills": (
        _world(caller_machine=_NeverConvicts),
        WEATHERS["poison"],
    ),
}


@pytest.mark.parametrize("defect", DEFECTS)
def test_simulation_catches_a_worker_or_caller_that(defect: str) -> None:
    world_class, weather = DEFECTS[defect]

    # A machine that is broken enough stumbles over its own tables.
    with pytest.raises((AssertionError, KeyError)):
        _simulate_all(weather, world_class)


def _simulate_all(weather: Weather, world_class: type[World]) -> None:
    for seed in range(SEEDS):
        simulate(seed, weather, world_class)
