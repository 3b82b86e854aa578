"""The friction of one pool, fitted to its own finished runs, and how well the fit predicts.

A run's ratio is the measured time of its steps over that of the roofline. Of a new pool the usual
friction is known, with its range. Half of that range's variance is taken to be how pools differ, half
how the runs of a pool do. The logarithms of a pool's ratios move that normal prior as Bayes says:

    weight of the runs = between / (between + within / n)
    within = (2 x within before + squares of the ratios around their mean) / (2 + n - 1)

so that one run near the usual friction moves it half of the way, and many runs speak for themselves. Runs
that are further off than pools were taken to differ say that this pool does: `between` is then the
square of how far off they are, less within / n. The range is that of another run, by Student's t at 0.9
with n + 1 degrees of freedom.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean, median

from cupola_operator.plan.estimate import Estimate
from cupola_operator.plan.speed.calibration import student

_NORMAL = 1.2816
_BELIEVED = 2
"""Runs that the spread of the prior counts as."""


def fitted(ratios: Sequence[float], usual: Estimate) -> Estimate:
    """The friction of a pool with these ratios, each above 0; without any the usual one."""
    if not ratios:
        return usual
    whole = math.log(usual.high / usual.low) / 2 / _NORMAL
    prior = whole**2 / 2
    logs = [math.log(ratio / usual.expected) for ratio in ratios]
    count, mean = len(logs), fmean(logs)
    squares = sum((value - mean) ** 2 for value in logs)
    within = (_BELIEVED * prior + squares) / (_BELIEVED + count - 1)
    between = max(prior, mean**2 - within / count)
    weight = between / (between + within / count)
    spread = math.sqrt(within * (1 + weight / count))
    wide = math.exp(student(count + _BELIEVED - 1) * spread)
    middle = usual.expected * math.exp(weight * mean)
    return Estimate(middle / wide, middle, middle * wide)


@dataclass(frozen=True)
class Check:
    """How well runs are predicted that were left out of a fit, and how well without one."""

    error: float
    """Median of |predicted / measured - 1| of each run, fitted to the others."""
    usual_error: float
    """The same of the usual friction."""
    held: int
    """Runs that lay in their range, fitted to the others."""
    usual_held: int
    runs: int

    @property
    def better(self) -> bool:
        """Whether the fit predicts nearer than the usual friction."""
        return self.error < self.usual_error


def leave_one_out(ratios: Sequence[float], usual: Estimate) -> Check:
    """Each run predicted from the others. Raises ValueError for fewer than two."""
    if len(ratios) < 2:
        raise ValueError("to leave one out takes two runs")
    others = [fitted([*ratios[:i], *ratios[i + 1 :]], usual) for i in range(len(ratios))]
    pairs = list(zip(others, ratios, strict=True))
    return Check(
        error=median(abs(one.expected / ratio - 1) for one, ratio in pairs),
        usual_error=median(abs(usual.expected / ratio - 1) for ratio in ratios),
        held=sum(one.low <= ratio <= one.high for one, ratio in pairs),
        usual_held=sum(usual.low <= ratio <= usual.high for ratio in ratios),
        runs=len(ratios),
    )
