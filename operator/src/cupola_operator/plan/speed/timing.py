"""The time of a step as a range, and the share of the device's peak that it uses."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

from cupola_operator.plan.anatomy.layout import Layout
from cupola_operator.plan.anatomy.model import Model
from cupola_operator.plan.estimate import Estimate
from cupola_operator.plan.speed import calibration
from cupola_operator.plan.speed.hardware import Machine
from cupola_operator.plan.speed.steptime import Clock

CPU = Estimate(0.7, 1.0, 2.0)
"""Time of a step on CPU slots over what the roofline says, as friction is fitted to GPUs.

Measured once: 2 million parameters on two slots of one core each, 0.7 to 1.1. Cores without AVX-512
take twice as long.
"""


@dataclass(frozen=True)
class Timed:
    """A step."""

    seconds: Estimate
    mfu: Estimate
    parts: dict[str, Estimate]
    """Seconds by part; together they are `seconds`."""


def usual(machine: Machine) -> Estimate:
    """Time of a step over that of the roofline, where no run on the machine says it."""
    return CPU if machine.gpu.name == "cpu" else calibration.friction()


def timed(model: Model, layout: Layout, machine: Machine, precision: str) -> Timed:
    """The time of a step of a possible layout."""
    clock = Clock(model, machine, precision)
    step = clock.step(layout)
    friction = machine.friction or usual(machine)
    seconds = friction * step.total
    return Timed(
        seconds=seconds,
        mfu=Estimate(*(clock.mfu(layout, one) for one in reversed(seconds.ends))),
        parts={name: friction * alone for name, alone in dataclasses.asdict(step).items()},
    )
