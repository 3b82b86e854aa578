"""Which example is trained on when: a function of the seed and of the examples' lengths.

Step `s` of a run takes the places `s * examples_per_step` to `(s + 1) * examples_per_step`, over any
number of ranks, so an attempt that goes on from step `s` sees what it would have seen.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from transformers.trainer_pt_utils import get_length_grouped_indices


def order(lengths: Sequence[int], *, steps: int, per_step: int, seed: int) -> list[int]:
    """The examples of a run in the order of their use: `steps * per_step` numbers.

    Each is used once before any is used again. Neighbours are of like length, so that little of a
    batch is padding; the longest comes first, so that too little memory shows at once.
    """
    generator = torch.Generator().manual_seed(seed)
    found: list[int] = []
    while len(found) < steps * per_step:
        found += get_length_grouped_indices(lengths, per_step, generator=generator)
    return found[: steps * per_step]
