"""What may happen, by name: each does something to a simulation and says in a sentence what.

An event takes two numbers that choose among what is possible; one that is not possible now does
nothing and says nothing.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from .operator import Operator
from .properties import one_attempt_lives, world_is_decided
from .runs import Run
from .simulation import Simulation

Do = Callable[[Simulation, int, int], str | None]


class Choice(NamedTuple):
    """An event with its numbers."""

    name: str
    a: int = 0
    b: int = 0


GOOD: dict[str, tuple[float, Do]] = {}
"""What happens in any run, with weights."""

BAD: dict[str, tuple[float, Do]] = {}
"""What disturbs a run."""


def good(weight: float) -> Callable[[Do], Do]:
    def note(do: Do) -> Do:
        GOOD[do.__name__] = (weight, do)
        return do

    return note


def bad(weight: float) -> Callable[[Do], Do]:
    def note(do: Do) -> Do:
        BAD[do.__name__] = (weight, do)
        return do

    return note


def happen(sim: Simulation, choice: Choice) -> str | None:
    """Let an event happen; the sentence, or None if it is not possible now."""
    known = GOOD.get(choice.name) or BAD.get(choice.name)
    if known is None:
        return None
    story = known[1](sim, choice.a, choice.b)
    if story:
        one_attempt_lives(sim)
        sim.troubled = sim.troubled or choice.name in BAD
        sim.happened += 1
        if sim.deep and sim.happened % sim.stride == 0:
            world_is_decided(sim)
        sim.now += 1
    return story


def pick(items: list, a: int):  # type: ignore[no-untyped-def,type-arg]
    return items[a % len(items)] if items else None


def alive(sim: Simulation, a: int) -> Run | None:
    return pick([run for run in sim.runs() if run.alive], a)


def operator_of(sim: Simulation, a: int) -> Operator:
    return sim.operators[a % len(sim.operators)]
