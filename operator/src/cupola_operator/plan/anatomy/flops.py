"""FLOPs of a model by component: two for each multiplication and addition of a matrix product.

Counted as torch's FlopCounterMode counts (tests/operator/plan): matrix products only; norms,
activations and softmax, which are bound by memory, are left out. A causal model's attention counts
as the full square, as in eager attention and in the usual convention of model FLOPs utilisation
(Chowdhery et al., arXiv 2204.02311, appendix B); `causal=True` counts what a kernel that skips the
masked half does: a query attends to (length + 1) / 2 keys on average.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from cupola_operator.plan.anatomy import parameters
from cupola_operator.plan.anatomy.layout import Checkpointing
from cupola_operator.plan.anatomy.model import Model


@dataclass(frozen=True, kw_only=True)
class Flops:
    """FLOPs by component. May be added, and multiplied by a whole number."""

    attention_projections: int
    """Query, key, value and output matrices."""
    attention_scores: int
    """Queries times keys, and weights times values: the part that grows with the square."""
    feed_forward: int
    head: int
    """The output embedding, and what is before it; the input embedding is a look-up: none."""

    @property
    def total(self) -> int:
        """All of them."""
        return self.blocks + self.head

    @property
    def blocks(self) -> int:
        """All but the head's."""
        return self.attention_projections + self.attention_scores + self.feed_forward

    def __add__(self, other: Flops) -> Flops:
        return Flops(
            attention_projections=self.attention_projections + other.attention_projections,
            attention_scores=self.attention_scores + other.attention_scores,
            feed_forward=self.feed_forward + other.feed_forward,
            head=self.head + other.head,
        )

    def __mul__(self, times: int) -> Flops:
        return Flops(
            attention_projections=times * self.attention_projections,
            attention_scores=times * self.attention_scores,
            feed_forward=times * self.feed_forward,
            head=times * self.head,
        )


NONE = Flops(attention_projections=0, attention_scores=0, feed_forward=0, head=0)


def forward(
    model: Model, *, length: int | None = None, source: int | None = None, causal: bool = False
) -> Flops:
    """The FLOPs of a forward pass over one sequence of `length` tokens; absent = the context.

    Of an encoder-decoder, `length` is of the decoder and `source` of the encoder; absent = as long.
    """
    length = length or model.context
    source = source or length
    if model.architecture == "EncoderDecoder":
        encoder = _blocks(model, model.encoder_layers, queries=source)
        decoder = _blocks(model, model.layers, queries=length, causal=causal)
        return encoder + decoder + _cross(model, length, source) + _head(model, length)
    only_past = causal and model.architecture == "Decoder"
    return _blocks(model, model.layers, queries=length, causal=only_past) + _head(model, length)


def training(
    model: Model, *, length: int | None = None, source: int | None = None, causal: bool = False
) -> Flops:
    """The model FLOPs of forward and backward over one sequence: three times those of forward.

    The backward pass has two products for each one: by the weights and by the activations. Nothing
    that is recomputed counts.
    """
    return forward(model, length=length, source=source, causal=causal) * 3


def recomputation(
    model: Model,
    checkpointing: Checkpointing,
    *,
    length: int | None = None,
    source: int | None = None,
    causal: bool = False,
) -> Flops:
    """What activation checkpointing computes again over one sequence.

    Full: the blocks, not the head. Selective: queries times keys and weights times values (Korthikanti
    et al., arXiv 2205.05198, section 5). PyTorch stops once the last activation that backward
    needs is there, so the last product of a block is not done again unless dropout follows it.
    """
    once = forward(model, length=length, source=source, causal=causal)
    if checkpointing == "Full":
        last = 0 if model.dropout else 2 * model.ffn * model.hidden
        tokens = length or model.context
        skipped = last * (model.layers * tokens + model.encoder_layers * (source or tokens))
        return Flops(
            attention_projections=once.attention_projections,
            attention_scores=once.attention_scores,
            feed_forward=once.feed_forward - skipped,
            head=0,
        )
    if checkpointing == "Selective":
        return Flops(
            attention_projections=0, attention_scores=once.attention_scores, feed_forward=0, head=0
        )
    return NONE


def six_n_d(model: Model, tokens: int, *, embeddings: bool = True) -> int:
    """The rule of thumb 6 N D (Kaplan et al., arXiv 2001.08361; N there is without embeddings)."""
    counted = parameters.count(model)
    return 6 * (counted.total if embeddings else counted.non_embedding) * tokens


def _blocks(model: Model, layers: int, *, queries: int, causal: bool = False) -> Flops:
    matrices = 3 if model.gated else 2
    return Flops(
        attention_projections=layers * _projections(model, queries, queries),
        attention_scores=layers * _scores(model, queries, queries, causal=causal),
        feed_forward=layers * 2 * matrices * queries * model.hidden * model.ffn,
        head=0,
    )


def _cross(model: Model, queries: int, keys: int) -> Flops:
    return Flops(
        attention_projections=model.layers * _projections(model, queries, keys),
        attention_scores=model.layers * _scores(model, queries, keys),
        feed_forward=0,
        head=0,
    )


def _projections(model: Model, queries: int, keys: int) -> int:
    """Of one attention: query and output matrices over queries, key and value matrices over keys."""
    widths = queries * model.heads + keys * model.kv_heads
    return 4 * model.hidden * model.head_size * widths


def _scores(model: Model, queries: int, keys: int, *, causal: bool = False) -> int:
    """Of one attention: each pair of query and key takes part in two products of head_size."""
    pairs = queries * (queries + 1) // 2 if causal else queries * keys
    return 4 * model.heads * model.head_size * pairs


def _head(model: Model, length: int) -> Flops:
    width = model.embedding_width or model.hidden
    weights = 2 * width * model.hidden if width != model.hidden else 0
    if model.head != "None":
        weights += model.vocabulary * width
    if model.head == "MaskedLanguageModel":
        weights += model.hidden**2
    return replace(NONE, head=2 * length * weights)
