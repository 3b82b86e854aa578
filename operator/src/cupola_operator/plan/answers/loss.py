"""The loss that a model of so many parameters reaches after so many tokens, and the best split.

Hoffmann et al. 2022 (arXiv 2203.15556, equation 2): L(N, D) = E + A / N^alpha + B / D^beta, nats a
token, with N all parameters and D tokens that are all seen once. The constants are those which
Besiroglu et al. 2024 (arXiv 2404.10102) fitted to the same runs, as the original ones do not fit
their own data.

The law was fitted to models of 70M to 16B parameters on 5B to 500B tokens of one data set with one
tokenizer. On other text, or with another vocabulary, E is another; differences between plans hold
better than the loss itself.

The range: from the lower of the two published fits to the higher one, widened by the standard error
of E (0.03, Besiroglu et al., table 1; 1.28 of them for 8 of 10). It does not hold that your data is
easier or harder to predict than theirs.

Tokens that repeat are worth less: Muennighoff et al. 2023 (arXiv 2305.16264, section 3).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from cupola_operator.plan.estimate import Estimate

FLOPS_PER_PARAMETER_TOKEN = 6
"""Training FLOPs a parameter and token (Kaplan et al. 2020, arXiv 2001.08361); the law's own C."""

FITTED_PARAMETERS = (70e6, 16e9)
FITTED_TOKENS = (5e9, 500e9)

_STANDARD_ERROR = 0.03
_EIGHT_OF_TEN = 1.2816
_WORTH_OF_REPEATS = 15.39
"""R_D* of Muennighoff et al.: repeats beyond about so many teach nothing."""


@dataclass(frozen=True)
class Law:
    """Constants of Hoffmann's form."""

    e: float
    a: float
    b: float
    alpha: float
    beta: float

    def loss(self, parameters: float, tokens: float) -> float:
        """Nats a token."""
        size, data = math.pow(parameters, self.alpha), math.pow(tokens, self.beta)
        return self.e + self.a / size + self.b / data


BESIROGLU = Law(1.8172, 482.01, 2085.43, 0.3478, 0.3658)
"""Besiroglu et al. 2024 (arXiv 2404.10102, table 1)."""

HOFFMANN = Law(1.69, 406.4, 410.7, 0.34, 0.28)
"""Hoffmann et al. 2022 (arXiv 2203.15556, equation 10): approach 3 as published."""


@dataclass(frozen=True)
class Own:
    """A law that was fitted to runs on one's own data: see `scaling`."""

    name: str
    """Of the ladder."""
    law: Law
    draws: tuple[Law, ...]
    """Fits to the same runs with other errors: how well the constants are known."""
    scatter: float
    """Standard deviation of the logarithm of a run's loss around the law."""
    runs: int
    parameters: tuple[float, float]
    """The smallest and the largest of the fitted models."""
    tokens: tuple[float, float]
    """The fewest and the most tokens of a fitted run."""
    free: bool
    """Whether the exponents were fitted; else they are the published ones."""

    def expected(self, parameters: float, tokens: float) -> Estimate:
        """The loss of another run, in 8 of 10 cases: errors of the constants and scatter."""
        middle = self.law.loss(parameters, tokens)
        logs = [math.log(draw.loss(parameters, tokens) / middle) for draw in self.draws]
        wide = math.hypot(_deviation(logs), self.scatter) * _EIGHT_OF_TEN
        return Estimate(middle * math.exp(-wide), middle, middle * math.exp(wide))


def _deviation(logs: Sequence[float]) -> float:
    """How far values lie from 0: half of the distance of their 10th and 90th percentile, or more."""
    ordered = sorted(logs)
    if not ordered:
        return 0.0
    at = [ordered[round(share * (len(ordered) - 1))] for share in (0.1, 0.9)]
    return max(abs(end) for end in at) / _EIGHT_OF_TEN


@dataclass(frozen=True)
class Split:
    """So much compute, as a size and a number of tokens, and the loss that follows."""

    parameters: float
    tokens: float
    loss: Estimate

    @property
    def tokens_per_parameter(self) -> float:
        """Their ratio."""
        return self.tokens / self.parameters


def expected(parameters: float, tokens: float, own: Own | None = None) -> Estimate:
    """The loss after so many tokens; of those that repeat count what they are worth.

    By the published law, or by one's `own`. Raises ValueError for a model without parameters or
    tokens.
    """
    if parameters <= 0 or tokens <= 0:
        raise ValueError("the loss of a model without parameters or tokens is not defined")
    if own:
        return own.expected(parameters, tokens)
    middle = BESIROGLU.loss(parameters, tokens)
    other = HOFFMANN.loss(parameters, tokens)
    error = _EIGHT_OF_TEN * _STANDARD_ERROR
    return Estimate(max(0.0, min(middle, other) - error), middle, max(middle, other) + error)


def worth_of(tokens: float, unique: float) -> float:
    """The number of different tokens that teach as much as `tokens`, of which `unique` differ."""
    if tokens <= unique:
        return tokens
    repeats = tokens / unique - 1
    return unique * (1 + _WORTH_OF_REPEATS * -math.expm1(-repeats / _WORTH_OF_REPEATS))


def says_nothing(parameters: float, tokens: float, vocabulary: int, own: Own | None = None) -> bool:
    """Whether the law says less than guessing: it gives more than ln(vocabulary)."""
    law = own.law if own else BESIROGLU
    return law.loss(parameters, tokens) >= math.log(vocabulary)


def fitted(parameters: float, tokens: float, own: Own | None = None) -> bool:
    """Whether sizes like these were among the runs that the law was fitted to."""
    sizes = own.parameters if own else FITTED_PARAMETERS
    counts = own.tokens if own else FITTED_TOKENS
    return sizes[0] <= parameters <= sizes[1] and counts[0] <= tokens <= counts[1]


def best(flops: float, own: Own | None = None) -> Split:
    """The size and tokens with the lowest loss for 6 N D = `flops`, in closed form.

    N = G (C/6)^(beta/(alpha+beta)), G = (alpha A / beta B)^(1/(alpha+beta)): Hoffmann et al. 2022,
    equation 4.
    """
    law = own.law if own else BESIROGLU
    both = law.alpha + law.beta
    scale = (law.alpha * law.a / (law.beta * law.b)) ** (1 / both)
    budget = flops / FLOPS_PER_PARAMETER_TOKEN
    parameters = scale * budget ** (law.beta / both)
    return at(flops, parameters, own)


def at(flops: float, parameters: float, own: Own | None = None) -> Split:
    """The split of `flops` that gives the model so many parameters."""
    tokens = flops / FLOPS_PER_PARAMETER_TOKEN / parameters
    return Split(parameters, tokens, expected(parameters, tokens, own))


def frontier(
    flops: float, own: Own | None = None, factors: tuple[float, ...] = (0.25, 0.5, 1, 2, 4)
) -> list[Split]:
    """Splits of the same compute: models of so many times the best size."""
    middle = best(flops, own).parameters
    return [at(flops, middle * factor, own) for factor in factors]
