"""kind: FineTune. A model that follows a task, from one that only knows text."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, ClassVar

from pydantic import Field

from cupola_api.base import Model, Rule, Ruled
from cupola_api.columns import TRAINING_COLUMNS
from cupola_api.common import Metadata, ModelReference, Name, Resource, Revision, Status, Uri
from cupola_api.control import Control
from cupola_api.training import (
    Checkpoint,
    ModelSummary,
    Parallelism,
    Pools,
    Precision,
    Schedule,
    Stability,
)


class Objective(StrEnum):
    """What fine-tuning optimises."""

    SUPERVISED = "Supervised"


class FullTuning(Model):
    """Every weight is trained."""


class LoraTuning(Model):
    """Low-rank adapters are trained, the base is frozen (Hu et al. 2021, arXiv 2106.09685)."""

    rank: int = Field(16, ge=1, le=1024, description="Rank of the adapters.")
    alpha: float = Field(32, gt=0, le=4096, description="Scale: updates count alpha / rank.")
    dropout: float = Field(0.0, ge=0, lt=1, description="Dropout of the adapters' input.")
    targets: list[Annotated[str, Field(min_length=1, max_length=128)]] = Field(
        default_factory=list,
        max_length=16,
        description="Names of the layers that get adapters, such as q_proj; absent = every linear "
        "layer but the output head.",
    )
    merge: bool = Field(
        True,
        description="Add the adapters into the weights, so that the artifact is a plain model; "
        "false = the artifact holds the adapter beside the base model.",
    )


class Tuning(Ruled):
    """Which weights are trained; exactly one field is set."""

    rules: ClassVar = (
        Rule(
            "has(self.full) != has(self.lora)",
            "choose one way of tuning: write either full: {} or lora: {}",
        ),
    )

    full: FullTuning | None = Field(None, description="All weights.")
    lora: LoraTuning | None = Field(None, description="Low-rank adapters.")


class FineTuneSpec(Control):
    """What to tune, on what, how."""

    mutable: ClassVar = Control.mutable | {"stability"}

    revision: Revision = 1
    base: ModelReference = Field(description="The model to start from.")
    dataset: Name = Field(description="Name of a Dataset that has a task.")
    objective: Objective = Field(
        Objective.SUPERVISED,
        description="Supervised: the loss counts the tokens of the answer only.",
    )
    tuning: Tuning = Field(
        default_factory=lambda: Tuning(full=FullTuning()), description="Which weights are trained."
    )
    epochs: float = Field(3, gt=0, le=1000, description="Passes over the examples.")
    examples_per_step: int = Field(
        32, ge=1, le=65_536, description="Examples per optimizer step, all ranks together."
    )
    max_length: int | None = Field(
        None,
        ge=16,
        le=1_048_576,
        description="Tokens of prompt and answer; longer examples are left out and counted. "
        "Absent = the model's context.",
    )
    schedule: Schedule = Field(default_factory=Schedule, description="The learning rate.")
    weight_decay: float = Field(0.0, ge=0, le=10, description="Decoupled weight decay.")
    gradient_clipping: float = Field(
        1.0, ge=0, le=1000, description="Largest global norm of the gradient; 0 = no clipping."
    )
    precision: Precision = Field(Precision.BF16, description="Format of weights in the forward.")
    seed: int = Field(0, ge=0, le=2**31 - 1, description="Seed of adapters and of data order.")
    pools: Pools = Field(default_factory=list)
    parallelism: Parallelism = Field(
        default_factory=Parallelism, description="How it is spread over devices."
    )
    checkpoint: Checkpoint = Field(default_factory=Checkpoint, description="When to save.")
    stability: Stability = Field(
        default_factory=Stability, description="What is done when it does not go on as it should."
    )
    output: Uri | None = Field(
        None, description="Where artifacts go; the installation's store by default."
    )


class FineTuneStatus(Status):
    """What became of the tuning."""

    model: ModelSummary | None = Field(None, description="The finished model, in figures.")


class FineTune(Resource):
    """A language model tuned for a task.

    It begins with the model of a PretrainJob or of another FineTune and learns the prompts and answers
    of a Dataset that has a task: with all its weights, or with LoRA adapters. It recovers, saves and
    stops as a PretrainJob does.
    """

    plural: ClassVar = "finetunes"
    short: ClassVar = "ft"
    columns: ClassVar = TRAINING_COLUMNS

    metadata: Metadata
    spec: FineTuneSpec = Field(description="What to tune, on what, how.")
    status: FineTuneStatus | None = Field(None, description="What became of it.")
