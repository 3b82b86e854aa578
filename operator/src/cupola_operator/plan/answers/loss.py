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
class Split:
    """So much compute, as a size and a number of tokens, and the loss that follows."""

    parameters: float
    tokens: float
    loss: Estimate

    @property
    def tokens_per_parameter(self) -> float:
        """Their ratio."""
        return self.tokens / self.parameters


def expected(parameters: float, tokens: float) -> Estimate:
    """The loss after so many tokens; of those that repeat count what they are worth.

    Raises ValueError for a model without parameters or tokens.
    """
    if parameters <= 0 or tokens <= 0:
        raise ValueError("the loss of a model without parameters or tokens is not defined")
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


def says_nothing(parameters: float, tokens: float, vocabulary: int) -> bool:
    """Whether the law says less than guessing: it gives more than ln(vocabulary)."""
    return BESIROGLU.loss(parameters, tokens) >= math.log(vocabulary)


def fitted(parameters: float, tokens: float) -> bool:
    """Whether sizes like these were among the runs that the law was fitted to."""
    return (
        FITTED_PARAMETERS[0] <= parameters <= FITTED_PARAMETERS[1]
        and FITTED_TOKENS[0] <= tokens <= FITTED_TOKENS[1]
    )


def best(flops: float) -> Split:
    """The size and tokens with the lowest loss for 6 N D = `flops`, in closed form.

    N = G (C/6)^(beta/(alpha+beta)), G = (alpha A / beta B)^(1/(alpha+beta)): Hoffmann et al. 2022,
    equation 4.
    """
    law = BESIROGLU
    both = law.alpha + law.beta
    scale = (law.alpha * law.a / (law.beta * law.b)) ** (1 / both)
    budget = flops / FLOPS_PER_PARAMETER_TOKEN
    parameters = scale * budget ** (law.beta / both)
    return at(flops, parameters)


def at(flops: float, parameters: float) -> Split:
    """The split of `flops` that gives the model so many parameters."""
    tokens = flops / FLOPS_PER_PARAMETER_TOKEN / parameters
    return Split(parameters, tokens, expected(parameters, tokens))


def frontier(flops: float, factors: tuple[float, ...] = (0.25, 0.5, 1, 2, 4)) -> list[Split]:
    """Splits of the same compute: models of so many times the best size."""
    middle = best(flops).parameters
    return [at(flops, middle * factor) for factor in factors]
