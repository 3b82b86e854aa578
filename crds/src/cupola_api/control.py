"""What may change while a run goes on: whether it runs, how long, for how much, how often it is tried."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, ClassVar

from pydantic import Field

from cupola_api.base import Model, Rule, Ruled
from cupola_api.common import FailureClass
from cupola_api.pods import PodTemplate, QueueName
from cupola_api.quantities import Duration, Money

Retries = Annotated[int, Field(ge=0, le=1000)]


class OnExceeded(StrEnum):
    """What becomes of a run that has used up its budget."""

    SUSPEND = "Suspend"
    FAIL = "Fail"


class Admission(StrEnum):
    """What becomes of a run whose plan says that its limits cannot be kept."""

    ENFORCE = "Enforce"
    IGNORE = "Ignore"


class Budget(Ruled):
    """What a run may cost. It is stopped before it costs more, with time left for a checkpoint."""

    rules: ClassVar = (
        Rule(
            "self.maxCost.matches('[1-9]')",
            'budget.maxCost must be more than 0, such as "150.00"; leave budget out for no limit',
        ),
    )

    max_cost: Money = Field(description="The most that all attempts may cost together.")
    on_exceeded: OnExceeded = Field(
        OnExceeded.SUSPEND,
        description="Suspend: it waits until maxCost is raised. Fail: it has Failed.",
    )


class Recovery(Model):
    """How often a run is tried again: after a failure of a class, without progress in between.

    A checkpoint that is newer than all earlier ones is progress, and all counts begin again. What
    the user did wrong is never tried again.
    """

    max_attempts: int = Field(
        20, ge=1, le=1000, description="Attempts without progress, whatever ended them."
    )
    infrastructure: Retries = Field(
        10, description="Retries after a lost pod or node, or a failure of storage or network."
    )
    out_of_memory: Retries = Field(1, description="Retries after a pod ran out of memory.")
    unknown: Retries = Field(2, description="Retries after a failure of unknown cause.")
    data: Retries = Field(0, description="Retries after a failure that the data caused.")

    def retries(self, failure: FailureClass) -> int:
        """Retries after failures of a class without progress between them."""
        return {
            FailureClass.USER: 0,
            FailureClass.DATA: self.data,
            FailureClass.OUT_OF_MEMORY: self.out_of_memory,
            FailureClass.INFRASTRUCTURE: self.infrastructure,
            FailureClass.UNKNOWN: self.unknown,
        }[failure]


class Control(Ruled):
    """The fields of every spec that may change at any time, without a new revision."""

    mutable: ClassVar[set[str]] = {
        *("suspend", "deadline", "budget", "admission", "recovery"),
        *("queue", "podTemplate"),
    }
    rules: ClassVar[tuple[Rule, ...]] = (
        Rule(
            "!has(self.deadline) || self.deadline.matches('[1-9]')",
            'deadline must be longer than 0, such as "12h"; leave it out for none',
        ),
    )

    suspend: bool = Field(
        False,
        description="Stop with a checkpoint and hold no devices; false goes on from there.",
    )
    deadline: Duration | None = Field(
        None,
        description="The longest that the run may take from its start, waiting and suspensions "
        "included; then it is stopped with a checkpoint and has Failed.",
    )
    budget: Budget | None = Field(None, description="What it may cost; absent = no limit.")
    admission: Admission = Field(
        Admission.ENFORCE,
        description="Enforce: it does not start if even the lowest estimate of its plan is more than "
        "budget, deadline or the memory of a device allow. Ignore: it starts all the same, and is stopped "
        "when it reaches them.",
    )
    recovery: Recovery = Field(default_factory=Recovery, description="How often it is tried again.")
    queue: QueueName | None = Field(
        None,
        description="The LocalQueue of Kueue, in its namespace, that admits its pods; absent = the "
        "installation's default, if there is one. A change holds for later attempts.",
    )
    pod_template: PodTemplate | None = Field(
        None,
        description="What is added to its pods; nothing that changes what is computed. A change holds "
        "for later attempts.",
    )
