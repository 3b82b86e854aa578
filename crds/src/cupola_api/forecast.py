"""What a run should take, said before its pods start; what it is found to take; what it took."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from cupola_api.amounts import Amount, Time
from cupola_api.base import Model

Note = Annotated[str, Field(max_length=512)]
"""A sentence on what a plan does not know or what a person should know of it."""


class Range(Model):
    """A figure that is not known exactly: meant to hold the truth in 8 of 10 cases."""

    low: Amount = Field(description="In 1 of 10 cases it is less.")
    expected: Amount = Field(description="As likely less as more.")
    high: Amount = Field(description="In 1 of 10 cases it is more.")


class TimeRange(Model):
    """A moment that is not known exactly, RFC 3339 in UTC."""

    low: Time = Field(description="In 1 of 10 cases it is earlier.")
    expected: Time = Field(description="As likely earlier as later.")
    high: Time = Field(description="In 1 of 10 cases it is later.")


class Projection(Model):
    """What a run should take by the speed that was measured of it so far."""

    after: int = Field(ge=0, description="Optimizer steps that were measured.")
    step_seconds: Range = Field(description="Seconds of an optimizer step.")
    wall_clock_hours: Range = Field(
        description="Hours in which the run has pods, all attempts: queues and suspensions are not in it."
    )
    gpu_hours: Range = Field(description="Device hours of the whole run.")
    cost: Range | None = Field(None, description="Money of the whole run; absent without a price.")
    end: TimeRange = Field(description="When it should end.")


class Actual(Model):
    """What a run took in the end, beside what was planned. What was not measured is absent."""

    gpu_hours: Amount | None = Field(None, description="Device hours.")
    wall_clock_hours: Amount | None = Field(
        None, description="Hours in which it had pods, all attempts."
    )
    cost: Amount | None = Field(None, description="Money.")
    energy_kwh: Amount | None = Field(None, description="Energy, kWh.")
    step_seconds: Amount | None = Field(
        None, description="Mean seconds of an optimizer step of its last attempt, saves left out."
    )
    mfu: Amount | None = Field(None, description="Model FLOPs utilisation, 0 to 1.")
    loss: Amount | None = Field(
        None, description="Loss on held-out text, or else of its last steps, nats per token."
    )
    outside: list[Annotated[str, Field(max_length=63)]] = Field(
        default_factory=list,
        max_length=8,
        description="Names of the figures that were not within the planned range.",
    )


class Forecast(Model):
    """The plan of a run: what it should take on its pool, before any pod of it starts.

    A figure that is not known is absent, and a note says why.
    """

    pool: str = Field(max_length=63, description="The pool that it is planned for.")
    nodes: int = Field(ge=1, description="Nodes that it takes.")
    devices: int = Field(ge=1, description="Devices that it takes.")
    parameters: int | None = Field(None, ge=0, description="Parameters of the model.")
    tokens: int | None = Field(None, ge=0, description="Tokens that it trains on.")
    steps: int | None = Field(None, ge=0, description="Optimizer steps.")
    flops: Amount | None = Field(None, description="Model FLOPs; what is recomputed is not in it.")
    gpu_hours: Range | None = Field(None, description="Device hours.")
    wall_clock_hours: Range | None = Field(
        None,
        description="Hours from the start of its pods to their end; time in queues is not in it.",
    )
    cost: Range | None = Field(None, description="Money; absent where the pool has no price.")
    currency: str | None = Field(None, max_length=8, description="ISO 4217 code of the cost.")
    energy_kwh: Range | None = Field(None, description="Energy, kWh.")
    step_seconds: Range | None = Field(None, description="Seconds of an optimizer step.")
    mfu: Range | None = Field(None, description="Model FLOPs utilisation, 0 to 1.")
    memory_per_gpu: int | None = Field(
        None, ge=0, description="Bytes on the fullest device at its fullest moment."
    )
    memory_at_least: int | None = Field(
        None,
        ge=0,
        description="Bytes of weights and optimizer state alone, of a training on GPUs: what is needed "
        "for certain.",
    )
    memory_capacity: int | None = Field(None, ge=0, description="Bytes that a device has.")
    loss: Range | None = Field(
        None, description="Loss at the end by the published scaling law, nats per token."
    )
    notes: list[Note] = Field(
        default_factory=list, max_length=8, description="What the plan does not know, and why."
    )
    projection: Projection | None = Field(
        None, description="What it should take by the speed measured so far."
    )
    actual: Actual | None = Field(None, description="What it took; absent until it has ended.")
