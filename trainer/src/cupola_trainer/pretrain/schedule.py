"""The learning rate: linear warm-up, then half a cosine."""

from __future__ import annotations

import math


def learning_rate(step: int, *, steps: int, warmup: int, peak: float, final_ratio: float) -> float:
    """The rate of step `step` (from 0) of `steps`.

    It rises linearly over the first `warmup` steps to `peak`, then falls along half a cosine to
    `final_ratio * peak` at the last step (Loshchilov and Hutter 2016, arXiv 1608.03983, one cycle).
    """
    if step < warmup:
        return peak * (step + 1) / warmup
    done = (step - warmup) / max(1, steps - 1 - warmup)
    return peak * (final_ratio + (1 - final_ratio) * 0.5 * (1 + math.cos(math.pi * done)))
