"""Resources with the statuses that the operator itself writes, from short histories of the simulator."""

from __future__ import annotations

import copy
import random
from collections.abc import Iterator
from contextlib import suppress
from functools import lru_cache
from importlib import import_module
from typing import Any

import pytest

from cupola_api.kinds import KINDS

from .conftest import ROOT, Object

HISTORIES = 250


def resources() -> list[Object]:
    """The first resource of each kind, phase, reason and Outdated that the histories come to."""
    return copy.deepcopy(_resources())


@lru_cache(maxsize=1)
def _resources() -> list[Object]:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(ROOT / "tests"))
        for module in ("course", "faults", "people", "trouble"):
            import_module(f"simulator.{module}")  # they name what may happen
        simulation = import_module("simulator.simulation")
        events = import_module("simulator.events")
        broken = import_module("simulator.properties").Broken
        found: dict[tuple[str, ...], Object] = {}
        patched = simulation.Simulation.patched

        def note(sim: Any, *told: Any) -> None:
            patched(sim, *told)
            value = sim.resource
            if value and condition(value, "Ready"):
                seen = copy.deepcopy(value)
                seen["metadata"]["generation"] = value["status"]["observedGeneration"]
                found.setdefault(_what(value), seen)

        patch.setattr(simulation.Simulation, "patched", note)
        for seed in range(HISTORIES):
            rng = random.Random(seed)
            sim = simulation.Simulation(rng.choice(list(KINDS)))
            with suppress(broken):  # whether properties hold is not what is asked here
                for choice in _choices(rng, events):
                    events.happen(sim, choice)
                sim.end()
    return [found[key] for key in sorted(found)]


def _choices(rng: random.Random, events: Any) -> Iterator[Any]:
    names = sorted({**events.GOOD, **events.BAD})
    for _ in range(rng.randint(2, 14)):
        yield events.Choice(rng.choice(names), rng.getrandbits(10), rng.getrandbits(10))


def _what(value: Object) -> tuple[str, ...]:
    outdated = condition(value, "Outdated").get("status", "")
    return value["kind"], value["status"]["phase"], condition(value, "Ready")["reason"], outdated


def condition(value: Object, kind: str) -> Object:
    """A condition of a resource; empty if it was not reported."""
    found = value.get("status", {}).get("conditions", [])
    return next((one for one in found if one["type"] == kind), {})
