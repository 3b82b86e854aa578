"""A transformer as the planner sees it: sizes, and the conventions of its family.

Everything on which the exact number of parameters, the FLOPs or the memory depends, and nothing
else. The conventions of published families are in `families`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from cupola_api.run import Shape

Architecture = Literal["Decoder", "Encoder", "EncoderDecoder"]
Positions = Literal["Rotary", "Alibi", "Learned", "Relative"]
Norm = Literal["RmsNorm", "LayerNorm", "LayerNormNoBias", "Fixed"]
QkNorm = Literal["None", "Head", "Width"]
Head = Literal["Linear", "MaskedLanguageModel", "None"]


@dataclass(frozen=True, kw_only=True)
class Model:
    """A dense transformer. What has a default follows Llama (arXiv 2302.13971)."""

    architecture: Architecture = "Decoder"
    layers: int
    """Blocks; of an EncoderDecoder, those of its decoder."""
    encoder_layers: int = 0
    """Blocks of the encoder of an EncoderDecoder; 0 in the others."""
    hidden: int
    """Width of the residual stream."""
    heads: int
    kv_heads: int
    head_size: int
    """Width of a head; heads x head_size need not be hidden."""
    ffn: int
    """Width of the feed-forward."""
    vocabulary: int
    """Rows of the embedding, padding included."""
    context: int
    """Tokens of a training sequence, the longest it attends to."""

    tied: bool = False
    """Whether input and output embeddings are one matrix."""
    embedding_width: int | None = None
    """Width of the embeddings where that is not hidden; two projections join them (OPT-350M)."""
    gated: bool = True
    """Whether the feed-forward has a gate, so three matrices (arXiv 2002.05202)."""
    relu: bool = False
    """Whether its activation is ReLU, which needs no more than its output in the backward pass."""
    qkv_bias: bool = False
    out_bias: bool = False
    """Whether the output projection of attention has a bias."""
    ffn_bias: bool = False
    head: Head = "Linear"
    """What is on top; MaskedLanguageModel: a dense layer and a norm before the vocabulary."""
    head_bias: bool = False

    positions: Positions = "Rotary"
    position_rows: int = 0
    """Rows of each learned table of positions, or buckets of relative ones; 0 = no parameters."""
    token_types: int = 0
    """Rows of the table of segments (BERT)."""

    norm: Norm = "RmsNorm"
    norms: int = 2
    """Norms a block; a decoder block with cross-attention has one more."""
    missing_norms: int = 0
    """Norms that the first block lacks (ModernBERT)."""
    embedding_norm: bool = False
    final_norm: bool = True
    qk_norm: QkNorm = "None"
    """Norms of queries and keys: over a Head, or over the Width of all of them."""
    softmax_fp32: bool = True
    """Whether eager attention has its softmax in FP32, whatever the precision."""
    dropout: bool = False
    """Whether it trains with dropout, whose masks take memory."""

    @property
    def blocks(self) -> int:
        """Blocks of encoder and decoder together."""
        return self.layers + self.encoder_layers


def of_shape(shape: Shape) -> Model:
    """The model that Cupola's trainer builds of a shape: a Llama-style decoder."""
    return Model(
        layers=shape.layers,
        hidden=shape.hidden,
        heads=shape.heads,
        kv_heads=shape.kv_heads,
        head_size=shape.hidden // shape.heads,
        ffn=shape.ffn,
        vocabulary=shape.vocabulary,
        context=shape.context,
        tied=shape.tie_embeddings,
    )
