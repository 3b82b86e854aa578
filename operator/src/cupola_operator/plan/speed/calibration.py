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

from cupola_operator.plan.estimate import Estimate
from cupola_operator.plan.speed import catalogue

# Student's t at 0.9, by degrees of freedom: a range between -t and t holds 8 of 10.
_T = {1: 3.078, 2: 1.886, 3: 1.638, 4: 1.533, 5: 1.476, 6: 1.440, 7: 1.415, 8: 1.397, 9: 1.383}
_NORMAL = 1.2816
"""Of many; with few degrees of freedom d, t is about 0.9 / d more."""


def student(degrees: int) -> float:
    """Student's t at 0.9, by its degrees of freedom: 1 or more."""
    return _T.get(degrees, _NORMAL + 0.9 / degrees)


@dataclass(frozen=True)
class Ratio:
    """A run, reported over predicted."""

    family: str
    value: float
    unknown: float = 0.0
    """Standard deviation of the prediction's logarithm for what is not known of the run."""


@dataclass(frozen=True)
class Fit:
    """A factor that runs have in common."""

    factor: float
    spread: float
    """Standard deviation of its logarithm from run to run."""
    families: int
    """What it is fitted to: runs of a family are no independent evidence."""

    @property
    def range(self) -> Estimate:
        """The factor of another run of which all is known, in 8 of 10 cases, by Student's t."""
        return self.with_unknown(0.0)

    def with_unknown(self, spread: float) -> Estimate:
        """The same for a run whose prediction has that spread of its logarithm without friction."""
        t = student(self.families - 1)
        variance = self.spread**2 * (1 + 1 / self.families) + spread**2
        wide = math.exp(t * math.sqrt(variance))
        return Estimate(self.factor / wide, self.factor, self.factor * wide)


def fit(ratios: Sequence[Ratio]) -> Fit:
    """The factor of ratios. Raises ValueError for those of fewer than two families.

    Geometric; families count alike, however many runs they have. The spread is what their unknowns
    do not explain.
    """
    families: dict[str, list[Ratio]] = defaultdict(list)
    for ratio in ratios:
        families[ratio.family].append(ratio)
    if len(families) < 2:
        raise ValueError("a factor and its spread need two families at least")
    middle = fmean(fmean(math.log(one.value) for one in runs) for runs in families.values())
    squares = sum(
        fmean((math.log(one.value) - middle) ** 2 - one.unknown**2 for one in runs)
        for runs in families.values()
    )
    spread = math.sqrt(max(0.0, squares) / (len(families) - 1))
    return Fit(math.exp(middle), spread, len(families))


def friction() -> Estimate:
    """The factor by which runs take longer than `steptime` says, fitted to published ones."""
    fitted = catalogue.friction()
    return Estimate(fitted.low, fitted.expected, fitted.high)
