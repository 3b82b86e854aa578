"""A scaling law fitted to finished trainings: L(N, D) = E + A / N^alpha + B / D^beta.

As Hoffmann et al. 2022 (arXiv 2203.15556, section D.3) fit theirs, with what Besiroglu et al. 2024
(arXiv 2404.10102) corrected: the Huber loss (delta 1e-3) of the logarithms' differences is *summed*
over the runs and minimised with L-BFGS from the best points of a grid.

Five constants need many runs that differ both ways. Of fewer than `LEAST_FREE` runs, or of runs with
fewer than three sizes or three ratios of tokens to parameters, the exponents stay the published ones
and E, A and B are fitted; of fewer than `LEAST` runs, or of one size or ratio, nothing is.

How well the constants are known: the law is fitted again to `DRAWS` sets of losses, each the fitted
law with the residuals, enlarged for the constants that they were fitted with, dealt out to the runs
anew. A residual counts as `LEAST_SCATTER` at least: a run with another seed ends that far away.
Exponents that are not fitted vary from draw to draw by `EXPONENT_SPREAD`.

Imports scipy, which only this needs: import it late.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise, product
from typing import Any

import numpy as np
from scipy.optimize import minimize  # type: ignore[import-untyped]

from cupola_operator.plan import Refused
from cupola_operator.plan.answers.loss import BESIROGLU, Law, Own

LEAST = 4
LEAST_FREE = 8
DRAWS = 60

LEAST_SCATTER = 0.003
"""Of the logarithm of a loss: an assumption."""

EXPONENT_SPREAD = 0.04
"""Standard deviation of an exponent from data to data: twice the published standard error, which is of
one data set; an assumption."""

_DELTA = 1e-3
_LARGEST = 50.0
_STARTS = 12
_SEED = 20_240_410

Array = Any
"""A numpy array of floats."""


@dataclass(frozen=True)
class Run:
    """A finished training."""

    parameters: float
    tokens: float
    loss: float
    """On held-out text, nats a token."""


def fit(name: str, runs: Sequence[Run]) -> Own:
    """The law of runs. Refuses with TooFewRuns where they do not say enough."""
    sizes, ratios = _different([run.parameters for run in runs]), _ratios(runs)
    if len(runs) < LEAST or sizes < 2 or ratios < 2:
        raise Refused(
            "TooFewRuns",
            f"{len(runs)} finished runs with {sizes} sizes and {ratios} ratios of tokens to parameters "
            f"do not say how the loss falls; it takes {LEAST} runs, of two sizes and two ratios at least",
        )
    free = len(runs) >= LEAST_FREE and sizes >= 3 and ratios >= 3
    data = _Data(runs)
    exponents = None if free else (BESIROGLU.alpha, BESIROGLU.beta)
    best = _best(data, data.losses, exponents, _grid(data, exponents))
    residuals = data.losses - _logs(best, data)
    dice = np.random.default_rng(_SEED)
    constants = 5 if free else 3
    scale = math.sqrt(len(runs) / max(1, len(runs) - constants))
    spread = np.maximum(np.abs(residuals) * scale, LEAST_SCATTER)
    draws = []
    for _ in range(DRAWS):
        noise = dice.permutation(spread) * dice.choice([-1.0, 1.0], len(runs))
        tilted = exponents and tuple(
            max(0.1, dice.normal(value, EXPONENT_SPREAD)) for value in exponents
        )
        start = best if tilted is None else np.array([*best[:3], *tilted])
        draws.append(_law(_best(data, _logs(best, data) + noise, tilted, [start]), data))
    return Own(
        name=name,
        law=_law(best, data),
        draws=tuple(draws),
        scatter=float(np.sqrt(np.mean(spread**2))),
        runs=len(runs),
        parameters=(min(r.parameters for r in runs), max(r.parameters for r in runs)),
        tokens=(min(r.tokens for r in runs), max(r.tokens for r in runs)),
        free=free,
    )


class _Data:
    """Logarithms of the runs.

    N and D are divided by their geometric means, so that A and B are about as large as the loss, and
    the search is well conditioned.
    """

    def __init__(self, runs: Sequence[Run]) -> None:
        sizes = np.log([run.parameters for run in runs])
        counts = np.log([run.tokens for run in runs])
        self.middle = (float(sizes.mean()), float(counts.mean()))
        self.sizes, self.counts = sizes - self.middle[0], counts - self.middle[1]
        self.losses = np.log([run.loss for run in runs])


def _terms(point: Array, data: _Data) -> Array:
    """E, A / N^alpha and B / D^beta of each run."""
    exponents = np.empty((3, len(data.sizes)))
    exponents[0] = point[0]
    exponents[1] = point[1] - point[3] * data.sizes
    exponents[2] = point[2] - point[4] * data.counts
    return np.exp(np.minimum(exponents, _LARGEST))


def _logs(point: Array, data: _Data) -> Array:
    """Logarithms of the losses that the constants give."""
    return np.log(_terms(point, data).sum(axis=0))


def _huber(point: Array, data: _Data, losses: Array) -> tuple[float, Array]:
    """The sum of Huber losses, and its slope."""
    terms = _terms(point, data)
    total = terms.sum(axis=0)
    off = np.log(total) - losses
    slope = np.minimum(np.maximum(off, -_DELTA), _DELTA)
    e, a, b = terms * (slope / total)
    gradient = [e.sum(), a.sum(), b.sum(), -(a @ data.sizes), -(b @ data.counts)]
    return float(slope @ (off - slope / 2)) / _DELTA, np.array(gradient) / _DELTA


def _best(
    data: _Data,
    losses: Array,
    exponents: tuple[float, ...] | None,
    starts: Sequence[Array],
) -> Array:
    """The constants with the least loss, from the best of some starts."""
    fixed = exponents or ()
    bounds = [(-8.0, 5.0)] * 3 + ([(value, value) for value in fixed] or [(0.05, 1.5)] * 2)
    found = [
        minimize(
            _huber,
            start,
            (data, losses),
            method="L-BFGS-B",
            jac=True,
            bounds=bounds,
            options={"maxiter": 200, "ftol": 1e-9, "gtol": 1e-7},
        )
        for start in starts
    ]
    return min(found, key=lambda one: float(one.fun)).x


def _grid(data: _Data, exponents: tuple[float, float] | None) -> list[Array]:
    """The starts with the least loss, of a grid over shares of the loss and exponents."""
    middle = float(np.exp(data.losses.mean()))
    shares = [(e, a, 1 - e - a) for e in (0.1, 0.3, 0.5, 0.7) for a in (0.1, 0.3, 0.5) if e + a < 1]
    tilts = [exponents] if exponents else list(product((0.2, 0.35, 0.5, 0.8), repeat=2))
    points = [
        np.array([*(math.log(middle * share) for share in split), *tilt])
        for split in shares
        for tilt in tilts
    ]
    return sorted(points, key=lambda point: _huber(point, data, data.losses)[0])[:_STARTS]


def _law(point: Array, data: _Data) -> Law:
    e, a, b, alpha, beta = (float(value) for value in point)
    return Law(
        e=math.exp(e),
        a=math.exp(a + alpha * data.middle[0]),
        b=math.exp(b + beta * data.middle[1]),
        alpha=alpha,
        beta=beta,
    )


def _different(values: Sequence[float]) -> int:
    """How many of the values are a fifth apart from the next."""
    ordered = sorted(values)
    return sum(high / low > 1.2 for low, high in pairwise(ordered)) + bool(ordered)


def _ratios(runs: Sequence[Run]) -> int:
    return _different([run.tokens / run.parameters for run in runs])
