"""Every layout that is possible for a training on so many devices, in two steps.

A split says which device holds which part of the model, and alone decides whether a layout can fit;
the passes of a split say what a device takes at once.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from cupola_operator.plan.anatomy.layout import Layout, problem
from cupola_operator.plan.anatomy.model import Model
from cupola_operator.plan.speed.hardware import Machine

TOLERANCE = 0.125
"""How far the batch may be from the one asked for, where its sequences cannot be shared evenly."""

MICRO_BATCHES = (1, 2, 4, 8, 16, 32, 64)
"""Sequences that a rank may take at once."""


@dataclass(frozen=True)
class Candidates:
    """The layouts of a model for `batch` sequences a step; `fixed` are decided fields of Layout."""

    model: Model
    batch: int
    fixed: Mapping[str, Any] = field(default_factory=dict)

    def degrees(self, world: int) -> Iterator[tuple[int, int, int, int]]:
        """tensor, sequence, pipeline and data degrees of so many devices."""
        heads, layers = self.model.heads, self.model.layers
        for tensor in self._choose("tensor", divisors(math.gcd(world, heads)), world):
            rest = world // tensor
            shared = divisors(math.gcd(rest, heads // math.gcd(heads, tensor)))
            for sequence in self._choose("sequence", shared, rest):
                stages = [one for one in divisors(rest // sequence) if one <= layers]
                for pipeline in self._choose("pipeline", stages, rest // sequence):
                    data = rest // sequence // pipeline
                    if data <= self.batch * (1 + TOLERANCE) and self._allows("data", data):
                        yield tensor, sequence, pipeline, data

    def splits(self, tensor: int, sequence: int, pipeline: int, data: int) -> Iterator[Layout]:
        """Each with a ZeRO stage and an offload, taking as little at once as can be."""
        least = Layout(
            data=data,
            tensor=tensor,
            pipeline=pipeline,
            sequence=sequence,
            checkpointing=self.fixed.get("checkpointing", "Full"),
            micro_batch=self.fixed.get("micro_batch", 1),
        )
        for zero in self._choose("zero", (0, 1, 2, 3) if data * sequence > 1 else (0, 1)):
            for offload in self._choose("offload", ("None", "Optimizer", "Parameters")):
                split = replace(least, zero=zero, offload=offload)
                if problem(self.model, split) is None:
                    yield split

    def passes(self, split: Layout, micros: Sequence[int] | None = None) -> Iterator[Layout]:
        """A split with every micro-batch (or those of `micros`), interleaving and checkpointing."""
        for micro in self.micro_batches(split.data) if micros is None else micros:
            for virtual in self._choose("virtual", self._interleavings(split.pipeline)):
                rounds = split.pipeline if virtual > 1 else 1
                wanted = self.batch / (split.data * micro)
                passes = rounds * max(1, round(wanted / rounds))
                if abs(passes / wanted - 1) > TOLERANCE:
                    continue
                for checkpointing in self._choose("checkpointing", ("None", "Selective", "Full")):
                    yield Layout(
                        data=split.data,
                        tensor=split.tensor,
                        pipeline=split.pipeline,
                        sequence=split.sequence,
                        virtual=virtual,
                        zero=split.zero,
                        checkpointing=checkpointing,
                        offload=split.offload,
                        micro_batch=micro,
                        accumulation=passes,
                    )

    def micro_batches(self, data: int) -> list[int]:
        """Those that leave every copy at least one."""
        allowed = self._choose("micro_batch", MICRO_BATCHES)
        return [one for one in allowed if one * data <= self.batch * (1 + TOLERANCE)]

    def _interleavings(self, pipeline: int) -> Sequence[int]:
        """Chunks of blocks that a stage's can be divided into, none of them empty."""
        if pipeline == 1:
            return (1,)
        chunks = divisors(-(-self.model.blocks // pipeline))
        return [one for one in chunks if one * pipeline <= self.model.layers]

    def _choose(self, name: str, values: Sequence[Any], of: int | None = None) -> Sequence[Any]:
        """The values of a field that are not ruled out; degrees must divide `of`."""
        if name not in self.fixed:
            return values
        value = self.fixed[name]
        return () if of is not None and of % value else (value,)

    def _allows(self, name: str, value: Any) -> bool:
        return name not in self.fixed or self.fixed[name] == value


def counts(machine: Machine) -> list[int]:
    """Numbers of devices to try: a share of a node, or whole nodes; divisors of all there are."""
    return [
        count
        for count in divisors(machine.world)
        if count < machine.gpus or count % machine.gpus == 0
    ]


def divisors(number: int) -> list[int]:
    """All of them, in order."""
    small = [one for one in range(1, math.isqrt(number) + 1) if number % one == 0]
    return sorted({*small, *(number // one for one in small)})
