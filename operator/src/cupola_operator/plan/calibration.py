"""What is fitted to runs: how much longer they take than the model of step time says.

One number, the friction, with its range: host code between kernels, imbalance, slow nodes, data that
comes late. It is the same for all models, layouts and devices; what differs between these is for
`steptime` to say.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

from cupola_operator.plan import catalogue
from cupola_operator.plan.estimate import Estimate

# Student's t at 0.9, by degrees of freedom: a range between -t and t holds 8 of 10.
_T = {1: 3.078, 2: 1.886, 3: 1.638, 4: 1.533, 5: 1.476, 6: 1.440, 7: 1.415, 8: 1.397, 9: 1.383}
_NORMAL = 1.2816
"""Of many; with few degrees of freedom d, t is about 0.9 / d more."""


@dataclass(frozen=True)
class Fit:
    """A factor that runs have in common."""

    factor: float
    spread: float
    """Standard deviation of its logarithm from run to run."""
    runs: int

    @property
    def range(self) -> Estimate:
        """The factor of another run, in 8 of 10 cases, by Student's t."""
        t = _T.get(self.runs - 1, _NORMAL + 0.9 / (self.runs - 1))
        wide = math.exp(t * self.spread * math.sqrt(1 + 1 / self.runs))
        return Estimate(self.factor / wide, self.factor, self.factor * wide)


def fit(ratios: Sequence[tuple[str, float]]) -> Fit:
    """The factor of ratios (family, reported over predicted). Raises ValueError for fewer than two.

    Geometric; families count alike, however many runs they have.
    """
    if len(ratios) < 2:
        raise ValueError("a factor and its spread need two runs at least")
    families: dict[str, list[float]] = defaultdict(list)
    for family, ratio in ratios:
        families[family].append(math.log(ratio))
    middle = fmean(fmean(logs) for logs in families.values())
    squares = [(math.log(ratio) - middle) ** 2 for _, ratio in ratios]
    return Fit(math.exp(middle), math.sqrt(sum(squares) / (len(ratios) - 1)), len(ratios))


def friction() -> Estimate:
    """The factor by which runs take longer than `steptime` says, fitted to published ones."""
    fitted = catalogue.friction()
    return Estimate(fitted.low, fitted.expected, fitted.high)
