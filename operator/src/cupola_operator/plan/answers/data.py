"""The data that a training needs, and whether its Datasets have it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from cupola_operator.plan.answers.loss import worth_of
from cupola_operator.plan.estimate import Estimate

BYTES_PER_TOKEN = Estimate(3.0, 4.0, 5.0)
"""UTF-8 text a token, of prose and code under BPE vocabularies of 32,000 and more: an assumption."""

_SMALL = 65_536
"""Vocabularies up to here have two bytes a token in shards, larger ones four."""


@dataclass(frozen=True)
class Share:
    """A Dataset of a training."""

    name: str
    tokens: int | None
    """Training tokens that it has; None while it is not finished."""
    weight: float
    """Share of the training tokens; those of all add up to 1."""


@dataclass(frozen=True)
class Data:
    """Tokens, bytes, and passes over what there is."""

    tokens: int
    shares: tuple[Share, ...]
    shard_bytes: int
    """Of so many tokens in shards, if none repeats."""
    text_bytes: Estimate
    """Of the curated text that so many tokens are."""

    @property
    def epochs(self) -> dict[str, float]:
        """Passes over each Dataset whose size is known."""
        return {
            share.name: self.tokens * share.weight / share.tokens
            for share in self.shares
            if share.tokens
        }

    @property
    def unknown(self) -> tuple[str, ...]:
        """Datasets whose size is not known yet."""
        return tuple(share.name for share in self.shares if share.tokens is None)

    @property
    def worth(self) -> float:
        """The number of tokens seen once that would teach as much; unknown Datasets count as new."""
        if not self.shares:
            return self.tokens
        return sum(
            worth_of(self.tokens * share.weight, share.tokens)
            if share.tokens
            else self.tokens * share.weight
            for share in self.shares
        )

    @property
    def enough(self) -> bool | None:
        """Whether no token repeats; None if that is not known."""
        if any(passes > 1 for passes in self.epochs.values()):
            return False
        return None if self.unknown or not self.shares else True


def of_training(
    tokens: int, vocabulary: int, shares: Sequence[tuple[str, int | None, float]]
) -> Data:
    """The data of a training.

    `shares`: of each Dataset its name, its tokens if they are known, and its weight; without any,
    every token is new.
    """
    together = sum(weight for _, _, weight in shares)
    return Data(
        tokens=tokens,
        shares=tuple(Share(name, known, weight / together) for name, known, weight in shares),
        shard_bytes=tokens * (2 if vocabulary <= _SMALL else 4),
        text_bytes=BYTES_PER_TOKEN * tokens,
    )
