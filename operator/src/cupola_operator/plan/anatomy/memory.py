"""Bytes of device memory that a training takes on its fullest rank, by part.

Weights, gradients and optimizer state are those of Cupola's trainer: DeepSpeed with AdamW, FP32
master weights and moments, gradients summed in FP32 (in BF16 at ZeRO stage 0, which can do nothing
else). ZeRO shards them as Rajbhandari et al. say (arXiv 1910.02054, section 5). Read from DeepSpeed
0.19: runtime/zero/stage_1_and_2.py, stage3.py, runtime/fp16/unfused_optimizer.py.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from typing import Literal

from cupola_operator.plan.anatomy import activations, parameters
from cupola_operator.plan.anatomy.activations import Activations, Attention
from cupola_operator.plan.anatomy.layout import Layout
from cupola_operator.plan.anatomy.model import Model

Precision = Literal["BF16", "FP32"]

BUCKET = 500_000_000
"""Elements of the buffer that gradients are reduced in: DeepSpeed's reduce_bucket_size."""

LIVE = 1_000_000_000
"""Weights that ZeRO 3 holds gathered at most: DeepSpeed's stage3_max_live_parameters."""

FRAGMENTATION = 0.15
"""Memory that the allocator holds and cannot use, as a share of what comes and goes: activations and
buffers. GMLake (Guo et al., arXiv 2401.08156) found 15 % on average with PyTorch's allocator, over
eight models on A100 80 GB; weights and optimizer state, which stay, are taken to lose none. An
assumption: not measured on Cupola."""


@dataclass(frozen=True, kw_only=True)
class States:
    """Bytes of model state on one rank, and what of it lies in the memory of its host."""

    weights: int
    gradients: int
    optimizer: int
    """Master weights, where they are not the weights themselves, and both moments."""
    step: int
    """What the optimizer's step needs beside: a flat copy of the gradients in FP32."""
    host: int

    @property
    def total(self) -> int:
        """Weights, gradients and optimizer state on the device."""
        return self.weights + self.gradients + self.optimizer


@dataclass(frozen=True, kw_only=True)
class Memory:
    """Bytes on the fullest rank at its fullest moment."""

    weights: int
    gradients: int
    """Those there at that moment: where each step is one pass without ZeRO, they come as the
    activations go."""
    optimizer: int
    activations: int
    """Activations, their gradients, logits; what the optimizer's step needs, where that is more."""
    communication: int
    """Buffers of reductions, gathered weights, pieces sent between ranks."""
    fragmentation: int
    host: int
    """Bytes offloaded to the host a rank; not in the total."""

    @property
    def parts(self) -> dict[str, int]:
        """What is on the device, by name, in the order in which it is shown."""
        return {
            "weights": self.weights,
            "gradients": self.gradients,
            "optimizer": self.optimizer,
            "activations": self.activations,
            "communication": self.communication,
            "fragmentation": self.fragmentation,
        }

    @property
    def total(self) -> int:
        """All that is on the device."""
        return self.allocated + self.fragmentation

    @property
    def allocated(self) -> int:
        """What tensors take, fragmentation left out."""
        return (
            self.weights + self.gradients + self.optimizer + self.activations + self.communication
        )


def memory(
    model: Model,
    layout: Layout,
    precision: Precision = "BF16",
    *,
    attention: Attention = "Flash",
) -> Memory:
    """What a training takes; the layout must be possible (`layout.problem`)."""
    width = 2 if precision == "BF16" else 4
    acts = activations.of(model, layout, width=width, attention=attention)
    first, last = _elements(model, layout.tensor, layout.pipeline, layout.virtual)
    stages = [_stage(model, layout, precision, acts, first, stage="First")]
    if layout.pipeline > 1:
        stages.append(_stage(model, layout, precision, acts, last, stage="Last"))
    return max(stages, key=lambda stage: stage.total)


def states(elements: int, layout: Layout, precision: Precision = "BF16") -> States:
    """Model state of a rank that is answerable for so many parameters before ZeRO shards them."""
    shards, zero = layout.shards, layout.zero
    width = 2 if precision == "BF16" else 4
    share = math.ceil(elements / shards)
    weights = width * (share if zero == 3 else elements)
    gradients = _gradient(zero, width) * (share if zero >= 2 else elements)
    own_masters = precision == "BF16" or zero > 0
    optimizer = (12 if own_masters else 8) * (share if zero > 0 else elements)
    step = 0
    if zero == 0 and precision == "BF16":
        step = 4 * elements
    elif zero == 1:  # those in BF16 are gone then
        step = max(0, 4 * share - (_gradient(zero, width) - 4) * elements)
    elif zero == 2:
        step = 4 * share
    host = 0
    if layout.offload != "None":
        host = optimizer + 4 * share
        optimizer = step = 0
        gradients = 0 if zero >= 2 else gradients
    if layout.offload == "Parameters":
        host += weights
        weights = 0
    return States(weights=weights, gradients=gradients, optimizer=optimizer, step=step, host=host)


def _gradient(zero: int, width: int) -> int:
    """Bytes of a gradient: those of a pass are added to the FP32 sum of the passes before.

    At stage 1 when the whole backward pass is over, at stages 2 and 3 bucket by bucket.
    """
    if zero == 0:
        return width
    return 4 + width if zero == 1 and width < 4 else 4


@lru_cache(maxsize=4096)
def _elements(model: Model, tensor: int, pipeline: int, virtual: int) -> tuple[int, int]:
    """Parameters of the first and of the last stage that one tensor-parallel rank holds."""
    counted = parameters.count(model)
    norm = parameters.norm(model)
    blocks = model.blocks
    block = (counted.attention + counted.feed_forward) / blocks
    if tensor > model.kv_heads:
        kept = 2 * model.hidden * model.kv_heads * model.head_size
        block += kept * (tensor / model.kv_heads - 1)
    a_stage = math.ceil(blocks / (pipeline * virtual)) * virtual
    inside = a_stage * (block / tensor + counted.norms / blocks)
    embedding = counted.embedding + counted.positions
    if pipeline == 1:
        outside = (embedding + counted.head) / tensor
        return math.ceil(inside + outside), 0
    output = counted.head + (counted.embedding if model.tied and model.head != "None" else 0)
    return math.ceil(inside + embedding / tensor), math.ceil(inside + output / tensor + norm)


def _stage(
    model: Model,
    layout: Layout,
    precision: Precision,
    acts: Activations,
    elements: int,
    *,
    stage: Literal["First", "Last"],
) -> Memory:
    width = 2 if precision == "BF16" else 4
    held = states(elements, layout, precision)
    kept = _kept(model, layout, acts, stage)
    alone = layout.pipeline == 1
    with_head = alone or stage == "Last"
    logits = acts.logits if with_head else 0
    embedding = width * model.vocabulary * model.hidden // layout.tensor if logits else 0
    at_loss = kept + (logits + max(acts.loss, logits + acts.boundary + embedding) if logits else 0)
    in_block = kept - acts.ends * with_head + logits + acts.computed_again + acts.block_gradients
    sent = _sent(model, layout, precision, acts)
    in_step = max(0, held.step + logits - sent)  # nothing is sent then
    gradients = held.gradients
    working = max(at_loss, in_block, in_step)
    if layout.zero == 0 and layout.accumulation == 1 and alone:
        one = max(acts.block, acts.encoder_block) + acts.computed_again + acts.block_gradients
        working = max(logits + one, in_step)
        coming = max(at_loss, in_block + embedding)
        if coming > gradients + working:
            gradients, working = embedding, coming - embedding
    communication = sent + _buffers(layout, precision, elements)
    return Memory(
        weights=held.weights,
        gradients=gradients,
        optimizer=held.optimizer,
        activations=working,
        communication=communication,
        fragmentation=math.ceil(FRAGMENTATION * (working + communication)),
        host=held.host,
    )


def _kept(model: Model, layout: Layout, acts: Activations, stage: Literal["First", "Last"]) -> int:
    """Activations that a stage holds at its fullest: of all micro-batches in flight."""
    if layout.pipeline == 1:
        blocks = model.layers * acts.block + model.encoder_layers * acts.encoder_block
        return blocks + acts.start + acts.ends
    chunk = math.ceil(model.layers / (layout.pipeline * layout.virtual)) * acts.block
    passes = layout.accumulation * layout.virtual
    in_last = (layout.virtual - 1) * layout.pipeline + 1
    if stage == "Last":
        return min(passes, in_last) * chunk + acts.ends
    warm_up = 2 * (layout.pipeline - 1) if layout.virtual > 1 else layout.pipeline - 1
    in_flight = min(passes, in_last + warm_up)
    return in_flight * chunk + min(layout.accumulation, layout.pipeline) * acts.start


def _buffers(layout: Layout, precision: Precision, elements: int) -> int:
    """Buffers of ZeRO that are always there: gradients to reduce, weights gathered."""
    width = 2 if precision == "BF16" else 4
    total = 0
    if layout.zero > 0:
        total += 4 * min(BUCKET, elements)
    if layout.zero == 3:
        total += width * min(LIVE, elements)
    return total


def _sent(model: Model, layout: Layout, precision: Precision, acts: Activations) -> int:
    """What is being sent or received while a block computes.

    The sequence gathered for a tensor-parallel product; queries, keys and values on their way from
    pieces of the sequence to heads; the residual stream between stages.
    """
    width = 2 if precision == "BF16" else 4
    total = 0
    if layout.tensor > 1:
        total += acts.boundary * layout.tensor
    if layout.sequence > 1:
        heads = model.heads + 2 * model.kv_heads
        tokens = layout.micro_batch * model.context / layout.sequence / layout.tensor
        total += math.ceil(tokens * heads * model.head_size * width)
    if layout.pipeline > 1:
        total += acts.boundary
    return total
