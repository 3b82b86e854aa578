"""What the documents of a Dataset are like: `mixture` in its curation.json, which the report shows."""

from __future__ import annotations

from typing import Annotated

from pydantic import ConfigDict, Field

from cupola_api.base import Model
from cupola_api.mixing import SourceMix

Count = Annotated[int, Field(ge=0, le=2**63 - 1)]
Share = Annotated[float, Field(ge=0, le=1)]


class SourceShare(Model):
    """What one source gave."""

    name: str = Field(max_length=63)
    documents: Count
    bytes: Count = Field(description="Of text, UTF-8.")
    tokens: Count


class DomainShare(Model):
    """What one domain gave, or all others together."""

    name: str | None = Field(None, max_length=2048, description="Without www.; absent: all others.")
    documents: Count
    tokens: Count


class Length(Model):
    """Documents of about one length."""

    tokens: Count = Field(description="The longest that count here; half of it is too short.")
    documents: Count


class Diversity(Model):
    """How much text differs from itself, on a random sample of training documents.

    The shares of distinct n-grams depend on the size of the sample: compare them at one size.
    """

    tokens: Count = Field(description="Tokens of the sample.")
    entropy: float = Field(
        ge=0, description="Of the tokens by their own frequencies, nats a token."
    )
    distinct_bigrams: Share = Field(description="Different pairs of tokens by all pairs.")
    distinct_trigrams: Share
    compression: float = Field(ge=0, description="Bytes of text by those that zstd makes of them.")


class Mixture(Model):
    """What the documents that stay are like."""

    model_config = ConfigDict(extra="ignore")

    sources: list[SourceShare] = Field(max_length=64)
    lengths: list[Length] = Field(max_length=64)
    domains: list[DomainShare] | None = Field(
        None,
        max_length=64,
        description="Of the documents whose address is known, those with the most tokens first.",
    )
    diversity: Diversity | None = None
    mixing: list[SourceMix] | None = Field(
        None, max_length=64, description="Of the training tokens, if sources are mixed."
    )
