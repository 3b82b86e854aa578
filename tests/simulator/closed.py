"""The ledger of closed runs: what a resource cost that was deleted, and a revision that was replaced."""

from __future__ import annotations

import json
from collections import defaultdict
from decimal import Decimal
from typing import TYPE_CHECKING

from . import money
from .properties import require

if TYPE_CHECKING:
    from .simulation import Simulation

NAME = "closed runs are in the ledger"
PREFIX = "cupola-ledger-"


def runs_are_in_the_ledger(sim: Simulation) -> None:
    """Each run that is over for good is there once, with what it cost to the last digit; no other is.

    What it cost is what its pods held, as of a run that lives.
    """
    there = written(sim)
    lives = sim.living()
    for run, status in sim.told.items():
        name = f"{run[0]}.r{run[1]}"
        if run in lives:
            require(name not in there, NAME, f"{name} lives and is there")
            continue
        attempts = status.get("attempts", [])
        cost = sum((Decimal(one.get("cost", "0")) for one in attempts), Decimal(0))
        require(there.pop(name, Decimal(0)) == cost, NAME, f"{name} cost {cost}")
        for attempt in attempts:
            money.of_attempt(sim, attempt, *run)
    require(not there, NAME, f"nobody knows of {there}")


def written(sim: Simulation) -> dict[str, Decimal]:
    """The money of each run that the ledgers of all months hold."""
    found: dict[str, Decimal] = defaultdict(Decimal)
    for key, value in sim.api.list("ConfigMap").items():
        if key.name.startswith(PREFIX):
            for name, text in value["data"].items():
                entry = json.loads(text)
                found[name] += Decimal(entry.get("cost", "0"))
                if causes := entry.get("costs"):
                    parts = sum(map(Decimal, causes.values()), Decimal(0))
                    require(parts == Decimal(entry["cost"]), NAME, f"{name} is split: {entry}")
    return found
