"""The best layout of a training on a machine, and why each other way lost.

All `candidates` are considered. What cannot win is left out early: all layouts of a split that does
not fit even where it takes least at once, and layouts that are slower than what every family that
they belong to has already.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

from cupola_operator.plan import Refused
from cupola_operator.plan.anatomy.activations import Attention
from cupola_operator.plan.anatomy.layout import Layout
from cupola_operator.plan.anatomy.memory import Memory, Precision, memory
from cupola_operator.plan.anatomy.model import Model
from cupola_operator.plan.speed.alternatives import Lost, families
from cupola_operator.plan.speed.candidates import Candidates, counts
from cupola_operator.plan.speed.hardware import Machine
from cupola_operator.plan.speed.steptime import Clock, StepTime

_GB = 1e9


@dataclass(frozen=True)
class Question:
    """What is to be trained, on what, and what counts."""

    model: Model
    machine: Machine
    batch: int
    """Sequences a step; a layout may differ by an eighth where they cannot be shared evenly."""
    gpus: int | None = None
    """So many are used, all of them; None: as many of the machine's as are best."""
    precision: Precision = "BF16"
    attention: Attention = "Flash"
    prefer: Literal["Fastest", "Cheapest"] = "Fastest"
    """Least time for a sequence, or least device time, which is what is paid."""
    fixed: Mapping[str, Any] = field(default_factory=dict)
    """Fields of Layout that are decided."""


@dataclass(frozen=True)
class Found:
    """The best layout, and why others lost."""

    layout: Layout
    step: StepTime
    memory: Memory
    lost: tuple[Lost, ...]


def best(question: Question) -> Found:
    """The best layout that fits.

    Refuses with NothingFits, which says how many bytes the best lacks, and with NoLayout if the
    degrees that are fixed, the heads, layers and batch leave none.
    """
    if question.gpus is not None:
        return _Search(question).over(question.gpus).result()
    numbers = counts(question.machine)
    if question.prefer == "Fastest":
        numbers.reverse()
    quick = _Search(question, winner_only=True)
    for world in numbers:
        quick.over(world)
    world = quick.result().layout.world
    return _Search(question).over(world).result()


class _Candidate(NamedTuple):
    """A layout that is possible; whether it fits is another matter."""

    score: float
    """Seconds a sequence, as batches may differ a little; of all devices where that counts."""
    layout: Layout
    step: StepTime
    families: tuple[str, ...]


@dataclass
class _Family:
    """What is known of a family so far."""

    fitting: _Candidate | None = None
    missing: float = math.inf
    """Least bytes that one of those that do not fit lacks."""
    nearest: tuple[Layout, Memory] | None = None


class _Search:
    """One search: what each family has come to."""

    def __init__(self, question: Question, *, winner_only: bool = False) -> None:
        self._ask = question
        self._candidates = Candidates(question.model, question.batch, question.fixed)
        self._winner_only = winner_only
        self._families: dict[str, _Family] = {}
        self._best: tuple[_Candidate, Memory] | None = None

    def over(self, world: int) -> _Search:
        """Consider all layouts of so many devices."""
        ask = self._ask
        clock = Clock(ask.model, ask.machine.of(world), ask.precision, ask.attention)
        for degrees, micros in self._degrees(clock, world):
            found: list[_Candidate] = []
            for split in self._candidates.splits(*degrees):
                if self._fits(split, self._memory(split)):
                    for layout in self._candidates.passes(split, micros):
                        if self._too_slow(self._score(_least(clock, layout), world)):
                            continue
                        step = clock.step(layout)
                        score = self._score(step.total / layout.global_batch, world)
                        if not self._too_slow(score):
                            found.append(_Candidate(score, layout, step, self._of(layout)))
            for candidate in sorted(found, key=lambda one: one.score):
                self._judge(candidate)
        return self

    def _degrees(
        self, clock: Clock, world: int
    ) -> Iterator[tuple[tuple[int, int, int, int], list[int]]]:
        """Degrees of so many devices with micro-batches, by the least time a sequence can take."""
        promising: list[tuple[float, tuple[int, int, int, int], list[tuple[float, int]]]] = []
        for degrees in self._candidates.degrees(world):
            tensor, sequence, pipeline, data = degrees
            micros = [
                (
                    self._score(clock.least(tensor, sequence, micro) / (data * pipeline), world),
                    micro,
                )
                for micro in self._candidates.micro_batches(data)
            ]
            if micros:
                promising.append((min(micros)[0], degrees, micros))
        for _, degrees, micros in sorted(promising):
            quick = [micro for score, micro in micros if not self._too_slow(score)]
            if quick:
                yield degrees, quick

    def result(self) -> Found:
        """The winner; refuses if there is none."""
        if self._best is None:
            raise self._refusal()
        winner, used = self._best
        lost = [
            lost
            for name, family in self._families.items()
            if name not in winner.families and (lost := _lost(name, family, winner))
        ]
        lost.sort(key=lambda one: (one.missing, one.slower))
        return Found(winner.layout, winner.step, used, tuple(lost))

    def _memory(self, layout: Layout) -> Memory:
        return memory(self._ask.model, layout, self._ask.precision, attention=self._ask.attention)

    def _score(self, seconds: float, world: int) -> float:
        return seconds * world if self._ask.prefer == "Cheapest" else seconds

    def _too_slow(self, score: float) -> bool:
        """Whether a layout of that score need not be looked at."""
        return self._winner_only and self._best is not None and score >= self._best[0].score

    def _of(self, layout: Layout) -> tuple[str, ...]:
        """The families of a layout; of all one, where only the winner counts."""
        return ("",) if self._winner_only else families(layout, self._ask.machine.gpus)

    def _fits(self, layout: Layout, used: Memory) -> bool:
        """Whether a layout fits, on the device and in the host; notes by how much it does not.

        Nothing is offloaded to a host whose memory nobody stated.
        """
        machine = self._ask.machine
        missing: float = used.total - machine.gpu.memory
        if missing <= 0 and used.host:
            ranks = min(layout.world, machine.gpus)
            missing = used.host - (machine.host_memory or 0) / ranks
        if missing <= 0:
            return True
        for name in self._of(layout):
            family = self._families.setdefault(name, _Family())
            if missing < family.missing:
                family.missing, family.nearest = missing, (layout, used)
        return False

    def _judge(self, candidate: _Candidate) -> None:
        """Keep a candidate for the families in which it is the best that fits."""
        of = [self._families.setdefault(name, _Family()) for name in candidate.families]
        better = [one for one in of if not one.fitting or candidate.score < one.fitting.score]
        if not better:  # nor is it the best of all, which is the best of its families
            return
        if self._too_slow(candidate.score):
            return
        used = self._memory(candidate.layout)
        if not self._fits(candidate.layout, used):
            return
        for family in better:
            family.fitting = candidate
        if self._best is None or candidate.score < self._best[0].score:
            self._best = (candidate, used)

    def _refusal(self) -> Refused:
        nearest = min((family.missing for family in self._families.values()), default=math.inf)
        gpu = self._ask.machine.gpu
        if nearest == math.inf:
            return Refused(
                "NoLayout",
                f"no layout shares {self._ask.model.heads} attention heads, "
                f"{self._ask.model.blocks} layers and {self._ask.batch} sequences a step among "
                f"{self._ask.gpus or self._ask.machine.world} devices; use another number of devices, "
                "a larger batch, or leave parallelism to the planner",
            )
        return Refused(
            "NothingFits",
            f"no layout fits: the best lacks {nearest / _GB:.1f} GB on each {gpu.title}, which has "
            f"{gpu.memory / _GB:.1f} GB; use more or larger devices, a smaller model or a shorter "
            "context",
        )


def _least(clock: Clock, layout: Layout) -> float:
    """Seconds of a sequence that a layout does not go below: its passes, and its bubble."""
    busy = clock.least(layout.tensor, layout.sequence, layout.micro_batch)
    bubble = (layout.pipeline - 1) / (layout.virtual * layout.accumulation)
    return busy * (1 + bubble) / (layout.data * layout.pipeline)


def _lost(name: str, family: _Family, winner: _Candidate) -> Lost | None:
    if family.fitting:
        factor = family.fitting.score / winner.score
        term = family.fitting.step.largest_over(winner.step)
        return Lost(name, family.fitting.layout, 0, factor, term)
    if family.nearest is None:
        return None
    layout, used = family.nearest
    parts = ("weights", "gradients", "optimizer", "activations", "communication")
    largest = max(parts, key=lambda part: int(getattr(used, part)))
    return Lost(name, layout, math.ceil(family.missing), 0.0, largest)
