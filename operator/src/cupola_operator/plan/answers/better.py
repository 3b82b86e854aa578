"""Layouts that would be better than the one of a spec: what the trainer can do, and what the pool could.

The trainer does data parallelism with ZeRO and recomputes whole blocks or nothing.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from cupola_operator.plan import Refused
from cupola_operator.plan.anatomy.layout import Checkpointing, Layout, problem
from cupola_operator.plan.answers import training
from cupola_operator.plan.answers.plan import Alternative, Plan
from cupola_operator.plan.answers.training import Work
from cupola_operator.plan.speed import search

USEFUL = 1.05
"""A layout that is not faster by this factor is not worth a line."""

_MOST_DEVICES = 65_536


def layouts(work: Work, found: Plan) -> Iterator[Alternative]:
    """Faster layouts than that of `found`, on the same devices with the same batch."""
    if found.training is None:
        return
    now = found.training.step_seconds.expected
    best, seconds = work.layout, now
    for layout in _reachable(work.layout, every=True):
        one = _seconds(work, layout)
        if one is not None and one < seconds:
            best, seconds = layout, one
    if now / seconds >= USEFUL:
        yield training.alternative(
            f"spec.parallelism: {{{_written(work.layout, best)}}}",
            f"{now / seconds:.2f} times as fast: write it, and it is the plan",
            replace(work, layout=best),
        )
    batch = work.layout.global_batch
    question = search.Question(
        work.model,
        work.machine,
        batch,
        work.layout.world,
        precision=work.precision,
        fixed={"offload": "None"},
    )
    try:
        free = search.best(question).layout
    except Refused:
        return
    whole = _seconds(work, free)
    if whole is not None and seconds / whole >= USEFUL and free.global_batch == batch:
        yield training.alternative(
            f"tensor {free.tensor}, pipeline {free.pipeline}, sequence {free.sequence}, ZeRO {free.zero}, "
            f"micro-batch {free.micro_batch}",
            f"{now / whole:.2f} times as fast, but the trainer does data parallelism with ZeRO, in "
            "micro-batches that follow from the context",
            replace(work, layout=free),
        )


def remedy(work: Work) -> str:
    """What to write so that it fits, of what the trainer can do."""
    for layout in _reachable(work.layout, every=False):
        if _seconds(work, layout) is not None:
            return f"it fits with spec.parallelism: {{{_written(work.layout, layout)}}}"
    data = work.layout.world
    while data <= _MOST_DEVICES:
        layout = Layout(
            data=data, zero=3, checkpointing="Full", micro_batch=work.layout.micro_batch
        )
        if _seconds(work, layout) is not None:
            return (
                f"it fits on {data:,} such devices with spec.parallelism: {{zeroStage: 3, "
                "activationCheckpointing: true}"
            )
        data *= 2
    return "no number of such devices is enough; take larger ones, or a shorter context"


def _reachable(layout: Layout, *, every: bool) -> Iterator[Layout]:
    """Layouts that a spec can ask for on the same devices; all, or those that need less memory."""
    modes: tuple[Checkpointing, ...] = ("None", "Full")
    if not every and layout.checkpointing == "Full":
        modes = ("Full",)
    for mode in modes:
        for stage in range(0 if every else layout.zero, 4):
            if (mode, stage) != (layout.checkpointing, layout.zero):
                yield replace(layout, checkpointing=mode, zero=stage)


def _written(now: Layout, then: Layout) -> str:
    """The fields of spec.parallelism that lead from one layout to another."""
    fields = []
    if then.zero != now.zero:
        fields.append(f"zeroStage: {then.zero}")
    if then.checkpointing != now.checkpointing:
        on = "true" if then.checkpointing == "Full" else "false"
        fields.append(f"activationCheckpointing: {on}")
    return ", ".join(fields)


def _seconds(work: Work, layout: Layout) -> float | None:
    """Seconds of a step of a layout; None if it is impossible or does not fit."""
    if problem(work.model, layout):
        return None
    found = training.numbers(replace(work, layout=layout))
    return found.step_seconds.expected if found.fits else None
