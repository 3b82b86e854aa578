"""How much of the training tokens each source of a Dataset gives: spec.sources[].weight and spec.mixing."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import Field

from cupola_api.base import Model, Rule, Ruled
from cupola_api.quantities import Count

Weight = Annotated[
    float | None,
    Field(
        gt=0,
        le=1_000_000,
        description="Share of the training tokens that come from this source, as a part of the sum "
        "of all weights: documents come more than once, or some are left out. Either each source has "
        "one or none. Without weights a source gives what it has.",
    ),
]
"""The field `weight` of a source; its default is None."""


class Mixing(Ruled):
    """How often the documents of each source come, so that sources have their shares of the tokens.

    The shares are spec.sources[].weight, or follow from sizes by `temperature`. A source gives its
    share of `tokens`: where it has fewer, whole passes over its documents and then some of them
    again; where it has more, some are left out, chosen by content. No source is passed over more
    often than `maxRepeats`; what it then lacks the others give, in the proportion of their shares,
    as in UniMax (Chung et al. 2023, arXiv 2304.09151). Held-out documents, and the documents that are
    kept as text, are those of the same Dataset without mixing, once each.
    """

    rules: ClassVar = (
        Rule(
            "!has(self.tokens) || self.tokens.matches('[1-9]')",
            'mixing.tokens must be more than 0, such as "20B"',
        ),
    )

    temperature: float | None = Field(
        None,
        ge=1,
        le=100,
        description="Weights from sizes, instead of those of sources: tokens^(1/temperature). 1: as "
        "much as each has; the higher, the more a small source counts; 100 is nearly the same for "
        "all. 2 is that of XLM (Conneau and Lample 2019, arXiv 1901.07291), 3.33 that of XLM-R and "
        "mT5 (arXiv 1911.02116, 2010.11934).",
    )
    max_repeats: int = Field(
        4,
        ge=1,
        le=100,
        description="Passes over one source at most. Up to 4 are worth nearly as much as new text "
        "(Muennighoff et al. 2023, arXiv 2305.16264).",
    )
    tokens: Count | None = Field(
        None,
        description="Training tokens in all, repeats included; by default as many as the documents "
        "that stay have.",
    )


class SourceMix(Model):
    """What mixing made of one source."""

    name: str = Field(max_length=63, description="The source.")
    wanted: float = Field(ge=0, le=1, description="Share of the training tokens asked for.")
    reached: float = Field(
        ge=0,
        le=1,
        description="Share that it has: another one where maxRepeats bounds this source or others, "
        "or where documents are few.",
    )
    passes: float = Field(
        ge=0,
        le=100,
        description="Tokens by those of its documents: how often these come on average.",
    )
