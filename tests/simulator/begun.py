"""Decisions made before: as histories begin alike, the first ones of most were made in another.

A decision follows from its World alone. Two Worlds are one here if their values are equal and their
larger parts the same objects; so what is read of the cluster becomes one object first (`one`). A
history with some new decisions (`simulation.FOLLOW`) goes its own way, and is not compared any more.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields
from operator import attrgetter
from typing import Any

from cupola_operator.world import World

from . import simulation

LIMIT = 20_000
"""Decisions, and objects of a kind, that are kept."""

LARGE = ("status", "resource", "settings")
MEMBERS = ("runs", "jobs", "pods", "references", "metrics")
UNREAD = ("resource_version",)
"""Fields that no decision reads."""

_large = attrgetter(*LARGE)
_values = attrgetter(
    *(one.name for one in fields(World) if one.name not in (*LARGE, *MEMBERS, *UNREAD))
)
"""The other fields are compared by value."""


def one(read: Callable[..., Any], *large: str) -> Callable[..., Any]:
    """`read`, its result the same object for the same values; `large`: fields that are one already."""
    known: dict[Any, Any] = {}

    def found(*args: Any, **more: Any) -> Any:
        result = read(*args, **more)
        if result is None or not simulation.begins():
            return result
        values = {**vars(result)}
        for name in large:
            values[name] = id(values[name])
        if len(known) > LIMIT:
            known.clear()
        return known.setdefault((*values.values(),), result)

    return found


def decisions(decide: Callable[[World], Any]) -> Callable[[World], Any]:
    """`decide`, each decision made once."""
    known: dict[Any, tuple[Any, Any]] = {}

    def remembered(world: World) -> Any:
        if not simulation.begins():
            return decide(world)
        parts = [*_large(world), *world.runs.values(), *world.jobs, *world.pods]
        for reference in world.references.values():
            parts += reference
        key = (*_values(world), *world.runs, *world.metrics.items(), *map(id, parts))
        found = known.get(key)
        if found is None:
            simulation.parts_ways()
            if len(known) > LIMIT:
                known.clear()
            found = known[key] = (parts, decide(world))
        return found[1]

    return remembered
