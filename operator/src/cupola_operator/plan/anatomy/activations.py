"""Bytes that the forward pass keeps for the backward pass, and what the backward pass needs beside.

What autograd saves of each operation of the models of Transformers: the inputs of a product, the
output of a softmax, the mask of a dropout. For a GPT it is the count of Korthikanti et al. (arXiv
2205.05198, section 4): s b h (34 + 5 a s / h) a block in 16 bits. All are of one micro-batch on one
rank; tensor parallelism with its sequence parallelism divides everything (their section 4.2.2), as
does sequence parallelism. Checked against torch's MemTracker (tests/operator/plan).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Literal

from cupola_operator.plan.anatomy.layout import Layout
from cupola_operator.plan.anatomy.model import Model

LOSS_BLOCK = 1 << 18
"""Logits that the loss takes at once on a CPU (`losses` in the trainer's model.py)."""

Attention = Literal["Flash", "Eager"]
"""Flash: fused, keeps no scores (arXiv 2205.14135). Eager: keeps the square of them."""


@dataclass(frozen=True, kw_only=True)
class Activations:
    """Bytes of one micro-batch on one rank."""

    block: int
    """What a block keeps; of an encoder-decoder, one of the decoder."""
    encoder_block: int
    """The same of a block of the encoder of an encoder-decoder."""
    computed_again: int
    """What a block that is recomputed holds during its backward pass beyond what it kept."""
    ends: int
    """What is kept outside blocks, by the last stage: the last norm and the head."""
    start: int
    """What is kept before the blocks, by the first stage: norm and dropout of embeddings."""
    logits: int
    """They live until the optimizer has stepped: the loop holds them."""
    loss: int
    """What the loss needs while its gradient is made: that of the logits, and on a CPU three blocks
    of them in FP32."""
    block_gradients: int
    """The most that the gradients of activations within a block take at once."""
    boundary: int
    """The residual stream between two blocks."""


def of(
    model: Model,
    layout: Layout,
    *,
    width: int,
    attention: Attention = "Flash",
) -> Activations:
    """The bytes of one micro-batch, with `width` bytes a number (2 or 4)."""
    if layout.tensor > model.kv_heads:  # each rank keeps one
        model = replace(model, kv_heads=layout.tensor)
    tokens = layout.micro_batch * model.context / layout.sequence / layout.tensor
    hidden = model.hidden * width
    residual = model.hidden * model.dropout
    core, again = _core(model, width, attention)
    self_attention = _norm(model, width) + _projected(model, width) + residual
    forward_norms = _norm(model, width) * max(0, model.norms - 1)
    feed_forward = _feed_forward(model, width) + forward_norms + residual
    crossed = self_attention if model.architecture == "EncoderDecoder" else 0
    kept = self_attention + feed_forward
    cores = 2 if crossed else 1
    square = core + again
    gradients = max(
        (2 if model.gated else 1) * model.ffn * width,  # what they find freed taken off
        _core_gradients(model, width, attention) - feed_forward,
    )
    match layout.checkpointing:
        case "None":
            block, encoder, computed = kept + crossed + cores * square, kept + square, 0
        case "Selective":
            block, encoder, computed = kept + crossed + cores * core, kept + core, again
        case "Full":
            block, encoder = hidden, hidden
            computed = kept + crossed + cores * square
    ends = _norm(model, width) * model.final_norm
    if model.head == "MaskedLanguageModel":
        ends += 3 * hidden
    start = _norm(model, width) * model.embedding_norm + residual
    logits = model.vocabulary * width if model.head != "None" else 0
    return Activations(
        block=math.ceil(tokens * block),
        encoder_block=math.ceil(tokens * encoder),
        computed_again=math.ceil(tokens * computed),
        ends=math.ceil(tokens * ends),
        start=math.ceil(tokens * start),
        logits=math.ceil(tokens * logits),
        loss=math.ceil(tokens * logits + 12 * min(LOSS_BLOCK, tokens * logits / width)),
        block_gradients=math.ceil(tokens * (gradients + 2 * hidden)),
        boundary=math.ceil(tokens * hidden),
    )


def _norm(model: Model, width: int) -> int:
    """Of a norm and its input, a token."""
    a_number = {
        "RmsNorm": 4 + 2 * width,  # input in FP32, normalised, output
        "Fixed": 4 + width,
        "LayerNorm": 2 * width,
        "LayerNormNoBias": 2 * width,
    }
    return a_number[model.norm] * model.hidden


def _projected(model: Model, width: int) -> int:
    """Of queries, keys, values and the input of the output projection, a token."""
    queries, keys = model.heads * model.head_size, model.kv_heads * model.head_size
    norms = 0 if model.qk_norm == "None" else (4 + width) * (queries + keys)
    return 2 * width * (queries + keys) + norms


def _core(model: Model, width: int, attention: Attention) -> tuple[int, int]:
    """Of the core of attention, a token: what is kept, and what Selective computes again."""
    if attention == "Flash":
        return 4 * model.heads, 0
    queries, keys = model.heads * model.head_size, model.kv_heads * model.head_size
    repeated = 2 * width * (queries - keys)
    upcast = 4 if model.softmax_fp32 and width < 4 else 0
    dropped = 1 + width if model.dropout else 0
    return repeated, model.heads * model.context * (width + upcast + dropped)


def _core_gradients(model: Model, width: int, attention: Attention) -> int:
    """Gradients of scores before and behind the softmax, its own result freed, a token."""
    if attention == "Flash":
        return 0
    softmax = 4 if model.softmax_fp32 else width
    return model.heads * model.context * (2 * softmax - (width if width < softmax else 0))


def _feed_forward(model: Model, width: int) -> int:
    """Gate, its activation, up and their product; or the activation's input and output."""
    kept = 4 if model.gated else 2
    return (kept - model.relu) * model.ffn * width
