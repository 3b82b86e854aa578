"""How many parameters a model has, exactly.

Equal to the number that Transformers' own models have when built (tests/operator/plan); a matrix
that is used twice counts once.
"""

from __future__ import annotations

from dataclasses import dataclass

from cupola_operator.plan.anatomy.model import Model


@dataclass(frozen=True, kw_only=True)
class Parameters:
    """Numbers of parameters by part."""

    embedding: int
    """Of tokens and segments, with the projections to the width of the model."""
    positions: int
    attention: int
    feed_forward: int
    norms: int
    head: int
    """On top of the last block; the output embedding is in it unless it is tied."""

    @property
    def total(self) -> int:
        """All of them."""
        return self.non_embedding + self.embedding + self.positions + self.head

    @property
    def non_embedding(self) -> int:
        """Those of the blocks and norms: N of the scaling laws (Kaplan et al., arXiv 2001.08361)."""
        return self.attention + self.feed_forward + self.norms


def count(model: Model) -> Parameters:
    """The exact numbers of parameters of a model."""
    width = model.embedding_width or model.hidden
    projections = 2 * width * model.hidden if width != model.hidden else 0
    return Parameters(
        embedding=model.vocabulary * width + model.token_types * model.hidden + projections,
        positions=_positions(model),
        attention=(model.blocks + cross_blocks(model)) * attention(model),
        feed_forward=model.blocks * feed_forward(model),
        norms=_norms(model),
        head=_head(model),
    )


def attention(model: Model) -> int:
    """Of one attention: query, key, value and output projections, norms of queries and keys."""
    queries, keys = model.heads * model.head_size, model.kv_heads * model.head_size
    matrices = 2 * model.hidden * (queries + keys)
    biases = model.qkv_bias * (queries + 2 * keys) + model.out_bias * model.hidden
    norms = {"None": 0, "Head": 2 * model.head_size, "Width": queries + keys}[model.qk_norm]
    return matrices + biases + norms


def feed_forward(model: Model) -> int:
    """Of one feed-forward: two matrices, or three with a gate."""
    up = 2 if model.gated else 1
    biases = model.ffn_bias * (up * model.ffn + model.hidden)
    return (up + 1) * model.hidden * model.ffn + biases


def norm(model: Model) -> int:
    """Of one norm."""
    return {"RmsNorm": 1, "LayerNorm": 2, "LayerNormNoBias": 1, "Fixed": 0}[
        model.norm
    ] * model.hidden


def block(model: Model) -> int:
    """Of the largest block: a decoder's, where there are both kinds."""
    cross = model.architecture == "EncoderDecoder"
    norms = (model.norms + cross) * norm(model)
    return (1 + cross) * attention(model) + feed_forward(model) + norms


def cross_blocks(model: Model) -> int:
    """Blocks with cross-attention: those of the decoder that has an encoder."""
    return model.layers if model.architecture == "EncoderDecoder" else 0


def stacks(model: Model) -> int:
    """Stacks of blocks: 2 in an encoder-decoder."""
    return 2 if model.architecture == "EncoderDecoder" else 1


def _positions(model: Model) -> int:
    if model.positions == "Learned":
        return stacks(model) * model.position_rows * model.hidden
    if model.positions == "Relative":
        return stacks(model) * model.position_rows * model.heads
    return 0


def _norms(model: Model) -> int:
    in_blocks = model.blocks * model.norms + cross_blocks(model) - model.missing_norms
    around = stacks(model) * (model.embedding_norm + model.final_norm)
    return (in_blocks + around) * norm(model)


def _head(model: Model) -> int:
    if model.head == "None":
        return 0
    matrix = 0 if model.tied else model.vocabulary * (model.embedding_width or model.hidden)
    total = matrix + model.head_bias * model.vocabulary
    if model.head == "MaskedLanguageModel":
        total += model.hidden * (model.hidden + model.ffn_bias) + norm(model)
    return total
