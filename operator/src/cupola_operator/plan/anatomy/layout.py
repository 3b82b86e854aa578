"""How a training is spread over devices, and why a layout may be impossible."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from cupola_operator.plan.anatomy.model import Model

Checkpointing = Literal["None", "Selective", "Full"]
"""What is recomputed in the backward pass: nothing; the core of attention (arXiv 2205.05198,
section 5); whole blocks, of which only the input is kept (arXiv 1604.06174)."""

Offload = Literal["None", "Optimizer", "Parameters"]
"""What lies in the memory of the host: nothing; gradients, master weights and moments (ZeRO-Offload,
arXiv 2101.06840); these and the weights (ZeRO-Infinity, arXiv 2104.07857)."""


@dataclass(frozen=True, kw_only=True)
class Layout:
    """Degrees of parallelism, and what a rank takes at once."""

    data: int = 1
    """Data-parallel groups: copies of the model that see different sequences."""
    tensor: int = 1
    """Ranks that share each matrix (arXiv 1909.08053); above 1 they also share the sequence in
    norms and residuals (arXiv 2205.05198)."""
    pipeline: int = 1
    """Stages that the blocks are spread over, one forward and one backward (1F1B) in turn."""
    sequence: int = 1
    """Ranks that share a sequence (DeepSpeed-Ulysses, arXiv 2309.14509). ZeRO shards over
    data x sequence."""
    virtual: int = 1
    """Interleaved chunks of blocks a stage (arXiv 2104.04473)."""
    zero: int = 0
    """ZeRO stage: 1 shards master weights and moments, 2 and gradients, 3 and weights."""
    checkpointing: Checkpointing = "None"
    offload: Offload = "None"
    micro_batch: int = 1
    """Sequences that a data-parallel group takes a pass."""
    accumulation: int = 1
    """Passes a step."""

    @property
    def world(self) -> int:
        """Ranks."""
        return self.data * self.tensor * self.pipeline * self.sequence

    @property
    def shards(self) -> int:
        """Ranks over which ZeRO shards."""
        return self.data * self.sequence

    @property
    def global_batch(self) -> int:
        """Sequences a step."""
        return self.data * self.micro_batch * self.accumulation


def problem(model: Model, layout: Layout) -> str | None:
    """Why a layout cannot train a model, in a sentence that says what to change; None if it can."""
    return next(_problems(model, layout), None)


def _problems(model: Model, layout: Layout) -> Iterator[str]:
    degrees = ("data", "tensor", "pipeline", "sequence", "virtual", "micro_batch", "accumulation")
    for name in degrees:
        if getattr(layout, name) < 1:
            yield f"{name} is {getattr(layout, name)}; it must be 1 or more"
    if not 0 <= layout.zero <= 3:
        yield f"ZeRO has no stage {layout.zero}; choose one from 0 to 3"
    yield from _tensor_problems(model, layout)
    yield from _pipeline_problems(model, layout)
    yield from _sequence_problems(model, layout)
    if layout.offload == "Optimizer" and layout.zero < 1:
        yield "offloading the optimizer needs ZeRO; choose stage 1, 2 or 3"
    if layout.offload == "Parameters" and layout.zero != 3:
        yield f"offloading parameters needs ZeRO stage 3, not {layout.zero}"


def _tensor_problems(model: Model, layout: Layout) -> Iterator[str]:
    tensor = layout.tensor
    if model.heads % tensor:
        yield (
            f"{model.heads} attention heads cannot be shared by {tensor} tensor-parallel ranks; "
            f"tensor must divide {model.heads}"
        )
    if model.kv_heads % tensor and tensor % model.kv_heads:
        yield (
            f"{model.kv_heads} key and value heads can be neither shared by nor copied to {tensor} "
            f"tensor-parallel ranks; tensor must divide {model.kv_heads} or be a multiple of it"
        )
    if model.ffn % tensor:
        yield (
            f"a feed-forward of {model.ffn} cannot be shared by {tensor} tensor-parallel ranks; "
            f"tensor must divide {model.ffn}"
        )


def _pipeline_problems(model: Model, layout: Layout) -> Iterator[str]:
    stages = layout.pipeline * layout.virtual
    if layout.pipeline > 1 and model.architecture == "EncoderDecoder":
        yield (
            "every decoder block of an encoder-decoder needs the encoder's output, which a pipeline "
            "does not carry; set pipeline to 1"
        )
    if stages > model.layers:
        yield (
            f"{model.layers} layers cannot fill {stages} pipeline stages; pipeline x virtual must "
            f"be {model.layers} or less"
        )
    if layout.pipeline > 1 and layout.zero > 1:
        yield (
            f"a pipeline needs whole gradients on each stage, and ZeRO stage {layout.zero} shards "
            "them; choose stage 0 or 1, or set pipeline to 1"
        )
    if layout.virtual > 1 and layout.pipeline == 1:
        yield f"{layout.virtual} virtual stages need a pipeline; set virtual to 1"
    if layout.virtual > 1 and layout.accumulation % layout.pipeline:
        yield (
            f"an interleaved pipeline takes micro-batches in rounds of {layout.pipeline}; "
            f"accumulation must be a multiple of it, not {layout.accumulation}"
        )


def _sequence_problems(model: Model, layout: Layout) -> Iterator[str]:
    pieces = layout.sequence * layout.tensor
    if model.context % pieces:
        yield (
            f"a context of {model.context} tokens cannot be cut into {pieces} equal pieces; "
            f"sequence x tensor must divide {model.context}"
        )
    if model.heads % pieces:
        yield (
            f"{model.heads} attention heads cannot be shared by {layout.sequence} sequence-parallel "
            f"x {layout.tensor} tensor-parallel ranks; sequence x tensor must divide {model.heads}"
        )
