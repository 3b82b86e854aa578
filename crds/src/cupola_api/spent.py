"""What device time went into, by cause: of an attempt as device seconds and as money."""

from __future__ import annotations

from pydantic import Field

from cupola_api.amounts import Amount, Time
from cupola_api.base import Model


class Causes(Model):
    """Device time or money by what it went into; the six add up to the whole, to the last place.

    Of an attempt that did not succeed, all that came after its last checkpoint is lost work: steps,
    and whatever they waited for. A pod of a Job makes no checkpoints.
    """

    productive: Amount = Field("0", description="Work that was kept, or that may still be.")
    lost_work: Amount = Field(
        "0",
        description="After the last checkpoint of an attempt that did not succeed; all of a pod of a Job "
        "that did not.",
    )
    start_up: Amount = Field(
        "0",
        description="Until the first step of a training, from when all its pods ran; until a pod of a "
        "Job began with its work: imports, loading, compiling.",
    )
    checkpoint: Amount = Field("0", description="Steps waited for a checkpoint to be written.")
    evaluation: Amount = Field("0", description="Validation inside a training.")
    idle: Amount = Field(
        "0", description="Pods held devices before all others had started, or after one had ended."
    )


class Told(Model):
    """What a training said of its own time, kept so that it counts when its pods are gone."""

    first_step_at: Time | None = Field(None, description="When its first step began.")
    checkpoint_seconds: Amount = Field("0", description="Seconds that steps waited for saving.")
    evaluation_seconds: Amount = Field(
        "0", description="Seconds of validation, up to its last checkpoint or its end."
    )


class Spent(Model):
    """What earlier pods of an attempt used: those that Kueue evicted."""

    gpu_seconds: Amount = Field(description="Device seconds.")
    causes: Causes = Field(description="They by cause.")
    cost: Amount | None = Field(None, description="Money; absent without a price.")
    costs: Causes | None = Field(None, description="It by cause.")
    queue_seconds: Amount = Field("0", description="Seconds that it had waited for devices.")
