"""Histories: choose one by a seed, replay it, make a failing one as short as it can be."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable
from contextlib import suppress
from itertools import accumulate
from typing import NamedTuple

from . import course, faults, people, scarcity, trouble
from .events import BAD, GOOD, Choice, happen
from .properties import Broken
from .simulation import Simulation

KINDS = ("PretrainJob", "PretrainJob", "PretrainJob", "Dataset", "FineTune", "Evaluation")
SOURCES = (course, trouble, faults, people, scarcity)
"""The modules that name events."""

_GOOD = sorted(GOOD), [*accumulate(GOOD[name][0] for name in sorted(GOOD))]
_BAD = sorted(BAD), [*accumulate(BAD[name][0] for name in sorted(BAD))]
"""Names, and their weights added up."""


DEEP = 10
"""Of so many histories, one tries `decide` after events."""


STRIDE = 2
"""Of so many events of such a history, `decide` is tried after one; after each when it is replayed."""


QUEUED = 7
"""Of so many histories, one is of a resource that is queued from the start, and evicted."""


LIMITED = 11
"""Of so many histories, one is of a resource that has a budget or a deadline from the start."""


class Failure(NamedTuple):
    """A history that breaks a property."""

    kind: str
    script: tuple[Choice, ...]
    name: str
    detail: str


def play(kind: str, script: Iterable[Choice], tell: Callable[[str], None] | None = None) -> None:
    """Replay a script and let all go well from there. Raises Broken."""
    sim = Simulation(kind)
    sim.deep = True
    try:
        with _operator_errors():
            for choice in script:
                story = happen(sim, choice)
                if tell and story:
                    tell(f"{sim.now:6.0f}  {choice.name}({choice.a},{choice.b}): {story}")
            sim.end()
    finally:
        sim.forget()


class _operator_errors:  # noqa: N801
    """What the operator raises besides errors of the cluster breaks a property."""

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        if isinstance(error, Exception) and not isinstance(error, Broken):
            text = f"{type(error).__name__}: {str(error)[:300]}"
            raise Broken("the operator raises nothing", text) from error


def by_seed(seed: int) -> Failure | None:
    """A history chosen by a seed; how it fails, if it does."""
    rng = random.Random(seed)
    kind = rng.choice(KINDS)
    trouble, length = rng.choice((0, 1, 1, 2, 2, 3, 4, 6)), rng.randint(3, 20)
    queued = seed % QUEUED == 0
    sim = Simulation(kind)
    sim.deep, sim.stride = seed % DEEP == 0, STRIDE
    script: list[Choice] = []
    try:
        with _operator_errors():
            names = rng.choices(_GOOD[0], cum_weights=_GOOD[1], k=length)
            names += rng.choices(_BAD[0], cum_weights=_BAD[1], k=trouble)
            if queued:
                names += ["evict"] * rng.randint(1, 3)
            rng.shuffle(names)
            first = ["queue"] * queued
            if seed % LIMITED == 0:
                first.append(rng.choice(("budget", "deadline")))
            for name in first + names:
                choice = Choice(name, rng.getrandbits(10), rng.getrandbits(10))
                script.append(choice)
                happen(sim, choice)
            sim.end()
    except Broken as broken:
        return Failure(kind, tuple(script), broken.name, str(broken))
    finally:
        sim.forget()
    return None


def shortest(failure: Failure) -> Failure:
    """The failure with as few events, and as small numbers, as still break the same property."""
    best, size = failure, max(1, len(failure.script) // 2)
    while size:
        shorter = _without(best, size)
        if size == 1 and shorter == best:
            break
        best, size = shorter, max(1, size // 2)
    for at in range(len(best.script)):
        for field in ("a", "b"):
            best = _smaller(best, at, field)
    return best


def _without(failure: Failure, size: int) -> Failure:
    """The failure without as many runs of `size` events as are not needed."""
    at = 0
    while at < len(failure.script):
        shorter = _same(failure, failure.script[:at] + failure.script[at + size :])
        if shorter:
            failure = shorter
        else:
            at += size
    return failure


def _smaller(failure: Failure, at: int, field: str) -> Failure:
    """The failure with the smallest number in a field of an event."""
    choice = failure.script[at]
    for value in range(min(16, getattr(choice, field))):
        changed = choice._replace(**{field: value})
        simpler = _same(failure, (*failure.script[:at], changed, *failure.script[at + 1 :]))
        if simpler:
            return simpler
    return failure


def _same(failure: Failure, script: tuple[Choice, ...]) -> Failure | None:
    """The failure of another script, if it breaks the same property."""
    try:
        play(failure.kind, script)
    except Broken as broken:
        if broken.name == failure.name:
            return Failure(failure.kind, script, broken.name, str(broken))
    return None


def story(failure: Failure) -> str:
    """A failure for people: what happened, what broke, and how to play it again."""
    lines: list[str] = []
    with suppress(Broken):
        play(failure.kind, failure.script, lines.append)
    script = ", ".join(f"Choice{tuple(choice)}" for choice in failure.script)
    return "\n".join(
        [failure.detail, f"a {failure.kind}:", *lines, f"play({failure.kind!r}, [{script}])"]
    )
