"""The shape of a Llama-style decoder of about so many parameters.

The families of GPT-3 (arXiv 2005.14165, table 2.1), Llama (arXiv 2302.13971, table 2) and Llama 3
(arXiv 2407.21783, table 3) agree on how a good shape grows: width over depth rises from about 32
in the smallest models to 128 at 7B, a head is 64 or 128 wide, the feed-forward is 8/3 of the width
(SwiGLU, arXiv 2002.05202), large models share key and value heads (arXiv 2305.13245). Within that
family the shape is chosen whose exact number of parameters is nearest.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import lru_cache

from cupola_api import pretrainjob, quantities
from cupola_api.quantities import people
from cupola_api.run import Shape
from cupola_operator.plan import Refused
from cupola_operator.plan.anatomy.model import of_shape
from cupola_operator.plan.anatomy.parameters import block, count

TIED_BELOW = 1_000_000_000
"""Below this many parameters input and output embeddings are one matrix."""

SPLIT_ABOVE = 100_000_000_000
"""A larger model is split over many devices: its layers and heads come in multiples of 16."""

_LAYERS = 512
_ASPECT_WEIGHT = 0.1
"""A tenth off the usual width over depth weighs as much as a hundredth off the size asked for."""


def parameters(shape: Shape) -> int:
    """The exact number of parameters: embeddings, blocks without biases, and RMSNorms."""
    return count(of_shape(shape)).total


def flops_per_token(shape: Shape) -> int:
    """Non-embedding training FLOPs a token, attention included: 72 L d^2 + 12 L d c.

    `M` of DeepSeek LLM (arXiv 2401.02954, equation 2), which its scaling laws are written in.
    """
    return 72 * shape.layers * shape.hidden**2 + 12 * shape.layers * shape.hidden * shape.context


def of_spec(model: pretrainjob.ModelSpec, *, vocabulary: int) -> Shape:
    """The shape of the model that a person asks for. Refuses a size that none has."""
    if model.shape:
        return completed(model.shape, vocabulary=vocabulary, context=model.context)
    size = quantities.count(model.size or "0")
    return of_size(size, vocabulary=vocabulary, context=model.context)


@lru_cache(maxsize=1024)
def of_size(size: int, *, vocabulary: int, context: int) -> Shape:
    """The sensible shape whose number of parameters is nearest to `size`. Refuses one twice off."""
    nearest = min(
        _candidates(size, vocabulary, context),
        key=lambda shape: (_distance(shape, size), shape.hidden),
    )
    count = parameters(nearest)
    if not size / 2 <= count <= size * 2:
        raise Refused(
            "SizeOutOfReach",
            f"spec.model.size: with a vocabulary of {vocabulary} the nearest model to "
            f"{people(size)} that makes sense has {people(count)} parameters; write size: "
            f"{people(count)}, or the sizes you want as shape",
        )
    return nearest


def completed(shape: pretrainjob.Shape, *, vocabulary: int, context: int) -> Shape:
    """A shape that a person gave, with what it leaves open."""
    kv_heads = shape.kv_heads or shape.heads
    ffn = shape.ffn or _ffn(shape.hidden)
    untied = Shape(
        layers=shape.layers,
        hidden=shape.hidden,
        heads=shape.heads,
        kv_heads=kv_heads,
        ffn=ffn,
        vocabulary=vocabulary,
        context=context,
        tie_embeddings=False,
    )
    return untied.model_copy(update={"tie_embeddings": parameters(untied) < TIED_BELOW})


def _candidates(size: int, vocabulary: int, context: int) -> Iterator[Shape]:
    """For each width of the family the depths that come nearest to `size`."""
    widths = [
        *range(32, 256, 32),
        *range(256, 2048, 64),
        *range(2048, 4096, 256),
        *range(4096, 65_536 + 1, 1024),
    ]
    multiple = 16 if size > SPLIT_ABOVE else 1
    for hidden in widths:
        heads = hidden // _head(hidden)
        if heads % multiple:
            continue
        base = Shape(
            layers=1,
            hidden=hidden,
            heads=heads,
            kv_heads=8 if hidden >= 4096 else heads,
            ffn=_ffn(hidden),
            vocabulary=vocabulary,
            context=context,
            tie_embeddings=size < TIED_BELOW,
        )
        depth = ((size - parameters(base)) / block(of_shape(base)) + 1) / multiple
        for steps in {math.floor(depth), math.ceil(depth)}:
            yield base.model_copy(update={"layers": min(_LAYERS, max(1, steps) * multiple)})


def _head(hidden: int) -> int:
    """Width of a head."""
    return 128 if hidden >= 2048 else 64 if hidden >= 256 else 32


def _ffn(hidden: int) -> int:
    """8/3 of the width, rounded up to what matrix units like."""
    multiple = 128 if hidden >= 2048 else 64 if hidden >= 256 else 32
    return math.ceil(8 * hidden / 3 / multiple) * multiple


def _distance(shape: Shape, size: int) -> float:
    """How far a shape is from the size asked for, and from the family's width over depth."""
    count = parameters(shape)
    usual = min(128.0, max(32.0, 32 * (count / 10_000_000) ** 0.212))
    aspect = abs(math.log(shape.hidden / shape.layers / usual))
    return abs(math.log(count / max(size, 1))) + _ASPECT_WEIGHT * aspect
