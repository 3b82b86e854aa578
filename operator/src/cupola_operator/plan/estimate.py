"""A range instead of a bare number: low, expected, high.

A range is meant to hold the truth in 8 of 10 cases. Sums and products are formed end by end, as if
all that is uncertain went wrong together. Where errors have nothing to do with each other (how
fast a step is, and how often a node fails), `times` and `over` let them make up for each other.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Estimate:
    """A quantity of at least 0 that is known within a range; the unit is that of its user."""

    low: float
    expected: float
    high: float

    def __post_init__(self) -> None:
        """Raises ValueError for what is no range: out of order, negative or not finite."""
        if not (0 <= self.low <= self.expected <= self.high < math.inf):
            raise ValueError(f"{self.low} <= {self.expected} <= {self.high} is no range")

    @classmethod
    def exactly(cls, value: float) -> Estimate:
        """What is known exactly."""
        return cls(value, value, value)

    def __add__(self, other: Estimate) -> Estimate:
        """The sum, end by end."""
        return Estimate(
            self.low + other.low, self.expected + other.expected, self.high + other.high
        )

    def __mul__(self, other: Estimate | float) -> Estimate:
        """The product, end by end; of a number: its multiple."""
        by = other if isinstance(other, Estimate) else Estimate.exactly(other)
        return Estimate(self.low * by.low, self.expected * by.expected, self.high * by.high)

    def __truediv__(self, other: Estimate | float) -> Estimate:
        """The quotient: the least by the greatest, and the other way round."""
        by = other if isinstance(other, Estimate) else Estimate.exactly(other)
        return Estimate(self.low / by.high, self.expected / by.expected, self.high / by.low)

    def times(self, other: Estimate) -> Estimate:
        """The product of two whose errors are independent: their logarithms add as squares.

        Where 0 is expected of one, which has no logarithm, it is the product end by end.
        """
        middle = self.expected * other.expected
        if not middle:
            return self * other
        down = math.hypot(_log(self.expected, self.low), _log(other.expected, other.low))
        up = math.hypot(_log(self.high, self.expected), _log(other.high, other.expected))
        return Estimate(middle * math.exp(-down), middle, middle * math.exp(up))

    def over(self, other: Estimate) -> Estimate:
        """The quotient of two above 0 whose errors are independent."""
        return self.times(Estimate.exactly(1) / other)

    def at_least(self, least: float) -> Estimate:
        """The same, raised to `least` where it is lower."""
        return Estimate(*(max(least, value) for value in self.ends))

    @property
    def ends(self) -> tuple[float, float, float]:
        """low, expected, high."""
        return self.low, self.expected, self.high

    def rising(self, function: Callable[[float], float]) -> Estimate:
        """What a function makes of it that never falls."""
        return Estimate(*(function(value) for value in self.ends))

    def to_json(self) -> dict[str, float]:
        """{low, expected, high}, to six significant digits."""
        low, expected, high = (float(f"{value:.6g}") for value in self.ends)
        return {"low": low, "expected": expected, "high": high}


def _log(more: float, less: float) -> float:
    """Logarithm of their ratio; 0 of what is exactly 0."""
    return math.log(more / less) if less > 0 else math.inf if more > 0 else 0.0
