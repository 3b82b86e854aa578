"""Histories of a namespace with a budget, chosen by a seed."""

from __future__ import annotations

import random
from decimal import Decimal

import pytest

from . import money, runs, script
from .commons import EXCEEDED, LATE, TOO_SMALL, Commons, settings
from .events import BAD, GOOD, Choice, happen
from .properties import Broken, reason, require
from .script import Failure

BUDGETS = ("0.3", "3", "4", "6", "8", "12", "30")
"""Money; a run has four devices of a cent a second at first."""

DEADLINES = (None, None, None, "5s", "1m", "10m")

LEAST = 5
"""What a run that waits for the next month needs of it, to be done some day."""

ROOM = Decimal("3.6")
"""What it costs at most that a run saves and stops: 70 s of four devices at 1.25 cents a second."""

STALE = ("lag", "deaf", "faulty", "meanwhile", "rival", "crash")
"""Events after which an operator may act on what is not true any more."""

_GOOD = sorted(GOOD)
_BAD = sorted(BAD.keys() - {"upgrade"})


def by_seed(seed: int) -> Failure | None:
    """A history of two or three runs; how it fails, if it does."""
    rng = random.Random(seed)
    per = rng.choice(("Total", "Total", "Month"))
    deadline = rng.choice(DEADLINES)
    amounts = [one for one in BUDGETS if per == "Total" or Decimal(one) > LEAST]
    then = rng.choice(("Suspend", "Suspend", "Fail"))
    sim = Commons(rng.randint(2, 3), settings(rng.choice(amounts), per, then, deadline))
    told: list[Choice] = []
    try:
        with script._operator_errors():
            names = rng.choices(_GOOD, [GOOD[name][0] for name in _GOOD], k=rng.randint(5, 25))
            names += ["everybody"] * 6
            names += rng.choices(_BAD, [BAD[name][0] for name in _BAD], k=rng.choice((0, 1, 2, 4)))
            names += rng.choices(("raise", "lower", "old"), k=rng.choice((0, 1)))
            rng.shuffle(names)
            for name in names:
                choice = Choice(name, rng.getrandbits(10), rng.getrandbits(10))
                told.append(choice)
                _happen(sim, choice, amounts, (per, then, deadline))
            sim.end()
    except Broken as broken:
        return Failure(sim.kind, tuple(told), broken.name, f"seed {seed}: {broken}")
    finally:
        sim.forget()
    return None


def _happen(
    sim: Commons, choice: Choice, amounts: list[str], others: tuple[str, str, str | None]
) -> None:
    """An event of any simulation; or one of the budget, or of lists of resources."""
    if choice.name in STALE:
        sim.punctual = False
    if choice.name in ("raise", "lower"):
        now = Decimal(sim.settings.namespaces[0].budget.max_cost)  # type: ignore[union-attr]
        higher = choice.name == "raise"
        found = [one for one in amounts if (Decimal(one) > now) is higher] or [str(now)]
        sim.set_budget(settings(found[choice.a % len(found)], *others))
    elif choice.name == "old":
        sim.punctual = False
        sim.operators[choice.a % len(sim.operators)].view.lag[sim.kind] = 1 + choice.b % 4
    else:
        happen(sim, choice)


def in_time(seed: int, *, stopping: int) -> Failure | None:
    """Runs that never end, under a deadline of their namespace; how it is not kept."""
    rng = random.Random(seed)
    sim = Commons(2, settings("1000", deadline="10m"))
    sim.api.respec(sim.first, deadline=rng.choice((None, "3m", "20m")))
    name = "no run takes longer than its namespace lets it"
    try:
        with pytest.MonkeyPatch.context() as patch, script._operator_errors():
            patch.setattr(runs, "SAVING", stopping)
            _pass(sim, 2000)
            for key in sim.each():
                require(reason(sim.status) == LATE, name, f"{key} is {sim.status['phase']}")
            for run in sim.nodes.runs.values():
                least = 180 if run.name == "base" and "3m" in str(sim.api.get(sim.key)) else 600
                took = (run.over or sim.now) - (run.taken or 0)
                require(least - 10 <= took <= least + stopping + 10, name, f"{run.name}: {took} s")
    except Broken as broken:
        return Failure(sim.kind, (), broken.name, f"seed {seed}: {broken}")
    finally:
        sim.forget()
    return None


def kept(seed: int, *, stopping: int) -> Failure | None:
    """Runs that come one by one and never end, till the budget holds them all; how it is not kept.

    Everybody is in time, and a pod takes up to so many seconds to stop.
    """
    rng = random.Random(seed)
    most = Decimal(rng.choice(BUDGETS[3:]))
    sim = Commons(1, settings(str(most)))
    try:
        with pytest.MonkeyPatch.context() as patch, script._operator_errors():
            patch.setattr(runs, "SAVING", stopping)
            for number in range(1, rng.randint(2, 4)):
                _pass(sim, sim.now + rng.choice((0, 0, 3, 20, 60, 130)))
                sim.join(number)
            _pass(sim, 4000)
            _is_kept(sim, most)
    except Broken as broken:
        return Failure(sim.kind, (), broken.name, f"seed {seed}: {broken}")
    finally:
        sim.forget()
    return None


def _is_kept(sim: Commons, most: Decimal) -> None:
    """All is spent but what it may cost that the last run saves and stops, and no more."""
    name = "a namespace keeps its budget"
    for key in sim.each():
        status = sim.status
        require(reason(status) in (EXCEEDED, TOO_SMALL), name, f"{key} is {status['phase']}")
        money.equals_the_truth(sim)
    require(most - ROOM <= sim.spent <= most, name, f"{sim.spent} of {most} is spent")


def _pass(sim: Commons, until: float) -> None:
    """Time passes, all goes well and no run comes to its end."""
    while sim.now < until:
        if not sim.round():
            sim.now = min([until, *(time for time in sim.times() if time > sim.now)])
