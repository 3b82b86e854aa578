"""The plan of a resource: what will run, how long it takes, what it costs, what comes of it.

Every figure that is not exact is an `Estimate`; what cannot be known is None, and a note says why.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from cupola_operator.plan.anatomy.layout import Layout
from cupola_operator.plan.anatomy.memory import Memory
from cupola_operator.plan.anatomy.model import Model
from cupola_operator.plan.answers.data import Data
from cupola_operator.plan.estimate import Estimate
from cupola_operator.plan.money.bill import Bill
from cupola_operator.plan.money.price import Money
from cupola_operator.plan.speed.hardware import Machine


@dataclass(frozen=True)
class Training:
    """A training in numbers."""

    model: Model
    parameters: int
    trainable: int
    """Parameters that are trained; fewer with adapters."""
    tokens: int
    steps: int
    batch_tokens: int
    """Tokens a step."""
    flops: int
    """Model FLOPs of all of it: what is recomputed does not count."""
    six_nd: int
    """The rule of thumb 6 N D, to compare with."""
    precision: str
    layout: Layout
    memory: Memory
    """Of the fullest rank."""
    capacity: int
    """Bytes that a device has."""
    step: dict[str, Estimate]
    """Seconds of a step by part."""
    step_seconds: Estimate
    mfu: Estimate
    checkpoint_bytes: int
    whole: bool = True
    """False: tokens, steps and FLOPs are those of one step, as no one knows yet how many there are."""
    data: Data | None = None
    loss: Estimate | None = None

    @property
    def fits(self) -> bool:
        """Whether the fullest rank has room."""
        return self.memory.total <= self.capacity


@dataclass(frozen=True)
class Generation:
    """Text that a model writes, in numbers."""

    parameters: int
    """Of the model."""
    tokens: int
    """Of all answers; their prompts do not count."""
    answers: int
    answer_tokens: int
    """Of an answer, on average."""
    prompt_tokens: int
    """Of the prompt of each."""
    copies: int
    """Copies of the model."""
    tensor: int
    """Devices that a copy is on."""
    at_once: int
    """Answers that a copy writes side by side."""
    weights: int
    """Bytes on a device."""
    cache: int
    """Bytes of keys and values on a device, when all answers under way are whole."""
    capacity: int
    """Bytes that a device has."""
    precision: str
    tokens_per_second: Estimate
    """Kept tokens of all copies together."""


@dataclass(frozen=True)
class Alternative:
    """Another way to do the same, and why it is not the plan."""

    what: str
    reason: str
    wall_clock_hours: Estimate | None = None
    cost: Money | None = None


@dataclass(frozen=True)
class Option:
    """Another size, number of tokens or way of tuning, with what it costs and gives."""

    what: str
    parameters: int
    tokens: int | None
    device_hours: Estimate | None
    cost: Money | None
    loss: Estimate | None = None
    chosen: bool = False


@dataclass(frozen=True)
class Plan:
    """The plan of one resource, or of what a command line asks for."""

    kind: str
    name: str
    machine: Machine
    devices: int
    bill: Bill | None = None
    """None: it does not fit, or nothing is known to base it on."""
    training: Training | None = None
    generation: Generation | None = None
    runs: bool = True
    """Whether it can run: its layout is possible, and it fits."""
    options: tuple[Option, ...] = ()
    alternatives: tuple[Alternative, ...] = ()
    notes: tuple[str, ...] = ()
    """What the reader should know: what is not known, what does not fit, and the remedy."""
    assumptions: tuple[str, ...] = field(default=())
    """What was taken for granted, each with its value and where it is from."""

    @property
    def nodes(self) -> int:
        """Nodes that the devices are on."""
        return -(-self.devices // self.machine.gpus)
