"""perplexity: how surprised a model is by text, or by answers, that it has not seen.

The perplexity is exp of the mean negative log-likelihood a token, over all documents together.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

from cupola_trainer.evaluate.results import SAMPLES, Measured, Result, Subject
from cupola_trainer.likelihood import Scored, losses, unigram_entropy

EXCERPT = 2000
"""Characters of a text that a sample shows."""


class Estimate(NamedTuple):
    """A value and its standard error; the error is None where there are too few samples."""

    value: float
    standard_error: float | None


def perplexity(sums: Sequence[float], counts: Sequence[int]) -> Estimate:
    """exp(sum of losses / sum of tokens) over documents, with its error by the delta method.

    `sums` are nats, `counts` tokens of each document. The mean loss is a ratio of two sums over
    documents, the tokens of one document are not independent: the variance is that of a ratio
    estimator (Cochran 1977, Sampling Techniques, 6.4), times the square of exp's derivative.
    """
    total = sum(counts)
    mean = sum(sums) / total
    value = math.exp(mean)
    n = len(counts)
    if n < 2:
        return Estimate(value, None)
    squares = sum((s - mean * c) ** 2 for s, c in zip(sums, counts, strict=True))
    return Estimate(value, value * math.sqrt(squares * n / (n - 1)) / total)


def measure(subject: Subject, sequences: list[Scored], report: Callable[[float], None]) -> Result:
    """The perplexity of `sequences`, and chance: that of a model of token frequencies alone."""
    sums = losses(subject.model, sequences, report)
    value, error = perplexity(sums, [sequence.scored for sequence in sequences])
    measured = Measured(
        metric="perplexity",
        value=value,
        standard_error=error,
        chance=math.exp(unigram_entropy(sequences)),
        higher_is_better=False,
        samples=len(sequences),
    )
    shown = zip(sequences[:SAMPLES], sums[:SAMPLES], strict=True)
    return Result([measured], [_sample(subject, sequence, loss) for sequence, loss in shown])


def _sample(subject: Subject, sequence: Scored, loss: float) -> dict[str, object]:
    def text(ids: Sequence[int]) -> str:
        return str(subject.tokenizer.decode(list(ids), skip_special_tokens=True))[:EXCERPT]

    return {
        "given": text(sequence.ids[: sequence.start]),
        "text": text(sequence.ids[sequence.start :]),
        "tokens": sequence.scored,
        "loss": float(f"{loss / sequence.scored:.6g}"),
    }
