"""kind: PretrainJob. A model from scratch on one or more Datasets."""

from __future__ import annotations

from enum import StrEnum
from typing import ClassVar

from pydantic import Field

from cupola_api.base import Model, Rule, Ruled
from cupola_api.columns import TRAINING_COLUMNS
from cupola_api.common import Metadata, Name, Resource, Revision, Status, Uri
from cupola_api.control import Control
from cupola_api.quantities import Count
from cupola_api.training import (
    Attention,
    Checkpoint,
    ModelSummary,
    Optimizer,
    Parallelism,
    Pools,
    Precision,
    Schedule,
    Stability,
)


class DatasetShare(Model):
    """A Dataset and its share of the training data."""

    name: Name = Field(description="Name of a Dataset.")
    weight: float = Field(
        1.0, gt=0, le=1000, description="Share of the training sequences, relative to the others."
    )


class Architecture(StrEnum):
    """The family of model."""

    DECODER = "Decoder"


class Shape(Ruled):
    """Sizes of a Llama-style decoder (RMSNorm, rotary positions, SwiGLU, grouped queries)."""

    rules: ClassVar = (
        Rule("self.hidden % self.heads == 0", "shape.hidden must be a multiple of shape.heads"),
        Rule(
            "self.hidden % (2 * self.heads) == 0",
            "shape.hidden / shape.heads must be even, as rotary positions turn pairs",
        ),
        Rule(
            "!has(self.kvHeads) || self.heads % self.kvHeads == 0",
            "shape.heads must be a multiple of shape.kvHeads",
        ),
    )

    layers: int = Field(ge=1, le=512, description="Decoder blocks.")
    hidden: int = Field(ge=8, le=65_536, description="Width of the residual stream.")
    heads: int = Field(ge=1, le=512, description="Attention heads.")
    kv_heads: int | None = Field(
        None, ge=1, le=512, description="Key and value heads; absent = as many as heads."
    )
    ffn: int | None = Field(
        None, ge=8, le=262_144, description="Width of the feed-forward; absent = 8/3 of hidden."
    )


class ModelSpec(Ruled):
    """What model to build."""

    rules: ClassVar = (
        Rule(
            "has(self.size) != has(self.shape)",
            "say how large the model is once: write either size: 7B or shape: {layers, hidden, "
            "heads}",
        ),
        Rule(
            "!has(self.size) || self.size.matches('[1-9]')",
            'model.size must be more than 0, such as "125M"',
        ),
    )

    architecture: Architecture = Field(Architecture.DECODER, description="The family of model.")
    size: Count | None = Field(
        None,
        description="Parameters, embeddings included; the nearest sensible shape is chosen.",
    )
    shape: Shape | None = Field(None, description="Exact sizes, instead of size.")
    context: int = Field(
        2048, ge=16, le=1_048_576, description="Tokens of a sequence, the longest it can attend to."
    )
    attention: Attention = Field(
        Attention.ACROSS_DOCUMENTS,
        description="Documents share a sequence. AcrossDocuments: a token attends to all before it. "
        "WithinDocuments: only to those of its own document, whose positions count from 0; the mask "
        "takes context squared bytes a sequence and the place of faster kernels.",
    )


class PretrainJobSpec(Control):
    """What to train, on what, for how long."""

    mutable: ClassVar = Control.mutable | {"stability"}
    rules: ClassVar = (
        *Control.rules,
        Rule(
            "!(has(self.tokens) && has(self.tokensPerParameter))",
            "say how long to train once: write either tokens or tokensPerParameter",
        ),
        Rule(
            "(!has(self.tokens) || self.tokens.matches('[1-9]')) && "
            "(!has(self.batch) || self.batch.matches('[1-9]'))",
            'tokens and batch must be more than 0, such as "2B" and "512K"',
        ),
        Rule(
            "self.datasets.all(d, self.datasets.exists_one(e, e.name == d.name))",
            "datasets must have different names; use weight to see one more often",
        ),
    )

    revision: Revision = 1
    datasets: list[DatasetShare] = Field(
        min_length=1, max_length=16, description="What it learns from."
    )
    model: ModelSpec = Field(description="What to build.")
    tokens: Count | None = Field(None, description="Tokens to train on; data repeats if short.")
    tokens_per_parameter: float | None = Field(
        None,
        gt=0,
        le=100_000,
        description="Tokens as a multiple of parameters; 20, the compute-optimal ratio, if neither "
        "this nor tokens is given (Hoffmann et al. 2022, arXiv 2203.15556).",
    )
    batch: Count | None = Field(
        None, description="Tokens per optimizer step; absent = chosen by size."
    )
    schedule: Schedule = Field(default_factory=Schedule, description="The learning rate.")
    optimizer: Optimizer = Field(default_factory=Optimizer, description="AdamW's constants.")
    weight_decay: float = Field(
        0.1, ge=0, le=10, description="Decoupled weight decay of matrices; norms have none."
    )
    gradient_clipping: float = Field(
        1.0, ge=0, le=1000, description="Largest global norm of the gradient; 0 = no clipping."
    )
    precision: Precision = Field(Precision.BF16, description="Format of weights in the forward.")
    seed: int = Field(0, ge=0, le=2**31 - 1, description="Seed of weights and of data order.")
    pools: Pools = Field(default_factory=list)
    parallelism: Parallelism = Field(
        default_factory=Parallelism, description="How it is spread over devices."
    )
    checkpoint: Checkpoint = Field(
        default_factory=Checkpoint,
        description="When to save.",
    )
    stability: Stability = Field(
        default_factory=Stability, description="What is done when it does not go on as it should."
    )
    output: Uri | None = Field(
        None, description="Where artifacts go; the installation's store by default."
    )


class PretrainJobStatus(Status):
    """What became of the training."""

    model: ModelSummary | None = Field(None, description="The finished model, in figures.")


class PretrainJob(Resource):
    """A language model trained from scratch.

    On the text of one or more Datasets, for a number of tokens, spread over the devices of a pool. It
    saves checkpoints and goes on from the newest one when a pod or a node is lost; it stops before it
    costs more than its budget. The finished model, in the format of Hugging Face, is status.artifact.
    What defines a run changes only together with spec.revision, which starts a new run.
    """

    plural: ClassVar = "pretrainjobs"
    short: ClassVar = "ptj"
    columns: ClassVar = TRAINING_COLUMNS

    metadata: Metadata
    spec: PretrainJobSpec = Field(description="What to train, on what, for how long.")
    status: PretrainJobStatus | None = Field(None, description="What became of it.")
