"""The fields that PretrainJob and FineTune share: schedule, layout, precision."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, ClassVar

from pydantic import Field

from cupola_api.base import Model, Rule, Ruled
from cupola_api.common import Digest
from cupola_api.quantities import Duration

PoolName = Annotated[str, Field(pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$", max_length=63)]

Pools = Annotated[
    list[PoolName],
    Field(
        max_length=8,
        description="Pools of the installation to run on, the preferred one first: when its nodes have "
        "no room for long, the next one is tried. Absent = the cheapest that has the devices asked "
        "for.",
    ),
]

LearningRate = Annotated[float, Field(gt=0, le=1)]


class Attention(StrEnum):
    """What a token may attend to, of the documents that share a training sequence."""

    ACROSS_DOCUMENTS = "AcrossDocuments"
    WITHIN_DOCUMENTS = "WithinDocuments"


class Precision(StrEnum):
    """Number format of weights and activations. Master weights and moments are always FP32."""

    BF16 = "BF16"
    FP32 = "FP32"


class Schedule(Model):
    """Linear warm-up, then a cosine to a share of the peak."""

    learning_rate: LearningRate | None = Field(
        None, description="Peak learning rate; absent = chosen by size (see docs/reference)."
    )
    warmup: float = Field(0.03, ge=0, le=0.5, description="Share of the steps that warm up.")
    final: float = Field(0.1, ge=0, le=1, description="Last learning rate as a share of the peak.")


class Optimizer(Model):
    """AdamW (Loshchilov and Hutter 2017, arXiv 1711.05101)."""

    beta1: float = Field(0.9, ge=0, lt=1, description="Decay of the first moment.")
    beta2: float = Field(0.95, ge=0, lt=1, description="Decay of the second moment.")
    epsilon: float = Field(1e-8, gt=0, le=1e-2, description="Added to the denominator.")


class Parallelism(Model):
    """How a training is spread over devices. Data parallel over all of them, with ZeRO."""

    nodes: int = Field(1, ge=1, le=4096, description="Nodes: one pod each.")
    gpus_per_node: int | None = Field(
        None,
        ge=1,
        le=16,
        description="Ranks a node: GPUs, or CPU slots on a CPU pool. Absent = a whole node.",
    )
    zero_stage: int = Field(
        1,
        ge=0,
        le=3,
        description="ZeRO stage: what is sharded over the ranks. 0 nothing, 1 optimizer state, "
        "2 and gradients, 3 and weights (Rajbhandari et al. 2019, arXiv 1910.02054).",
    )
    activation_checkpointing: bool = Field(
        False,
        description="Recompute activations in the backward pass: less memory, a third more work.",
    )


class Checkpoint(Model):
    """Saved state that a run goes on from."""

    every: Duration = Field("30m", description="Time between two checkpoints.")
    keep: int = Field(3, ge=1, le=100, description="Newest checkpoints that are kept.")


class Stability(Ruled):
    """What is done about a training that does not go on as it should."""

    rules: ClassVar = (
        Rule(
            "self.hangTimeout.matches('[1-9][0-9]*[dhm]|[1-9][0-9]+s')",
            'stability.hangTimeout must be at least 10 seconds, such as "10m"',
        ),
    )

    hang_timeout: Duration = Field(
        "10m",
        description="The longest that a training may make no progress (no micro-batch of any rank, no "
        "file read or written): then its pods say where they hang and end, and the next attempt goes "
        "on from the newest checkpoint. A change holds for later attempts.",
    )


class ModelSummary(Model):
    """A trained model, in figures."""

    parameters: int = Field(ge=1, description="Parameters, embeddings included.")
    tokens: int = Field(0, ge=0, description="Tokens trained on.")
    steps: int = Field(0, ge=0, description="Optimizer steps.")
    train_loss: float | None = Field(None, description="Training loss of the last steps, nats.")
    validation_loss: float | None = Field(
        None, description="Loss on held-out text (or answers), nats per token."
    )
    unigram_entropy: float | None = Field(
        None,
        description="Entropy of the held-out text under its own token frequencies, nats per token: "
        "what a model that knows only how often each token occurs would reach.",
    )
    tokenizer_digest: Digest | None = Field(None, description="Identity of its tokenizer.")
    trainable_parameters: int | None = Field(
        None, description="Parameters that training changed, where not all."
    )
