"""Thousands of small disasters, each decided by one seed."""

from __future__ import annotations

import pytest

from .world import Weather, World

QUIET_AFTER = 150.0
SEEDS = 400

WEATHERS = {
    "fair": Weather(kills=0, cuts=0, caller_cuts=0, restarts=0),
    "kills": Weather(cuts=0, caller_cuts=0, restarts=0, kills=3),
    "cuts": Weather(kills=0, restarts=0, cuts=5, caller_cuts=4),
    "restarts": Weather(kills=0, cuts=0, caller_cuts=0, restarts=3),
    "all": Weather(),
    "poison": Weather(poison=1, kills=0, cuts=0, caller_cuts=0, restarts=0, cancels=0),
}


def simulate(seed: int, weather: Weather, world_class: type[World] = World) -> World:
    """Live through one seed; the error names it, so that it can be lived through again."""
    world = world_class(seed, weather)
    try:
        world.run(QUIET_AFTER)
        world.check()
    except AssertionError as exc:
        faults = "\n  ".join(world.faults)
        raise AssertionError(f"seed {seed}: {exc}\n  {faults}") from exc
    return world


@pytest.mark.parametrize("name", WEATHERS)
def test_contract_holds_in_any_weather(name: str) -> None:
    for seed in range(SEEDS):
        simulate(seed, WEATHERS[name])


def test_seed_gives_the_same_world_again() -> None:
    first, second = (simulate(7, WEATHERS["all"]) for _ in range(2))

    assert first.faults == second.faults
    assert first.ended_at == second.ended_at
    assert first.starts == second.starts
