from __future__ import annotations

import math
import random
import statistics

import pytest

from cupola_trainer.evaluate.perplexity import perplexity


def test_it_is_the_exponential_of_the_mean_loss_over_all_tokens() -> None:
    value, _ = perplexity([2.0, 6.0], [1, 3])
    assert value == pytest.approx(math.exp(8 / 4))


def test_its_error_is_that_of_a_ratio() -> None:
    # Mean loss 2; residuals 1 - 2*1 = -1 and 5 - 2*2 = 1; variance 2 * (1 + 1) / 1 / 9.
    value, error = perplexity([1.0, 5.0], [1, 2])
    assert value == pytest.approx(math.exp(2))
    assert error == pytest.approx(math.exp(2) * math.sqrt(4 / 9))


def test_equal_documents_have_no_error_and_one_has_none() -> None:
    assert perplexity([3.0, 3.0, 3.0], [2, 2, 2]).standard_error == 0.0
    assert perplexity([3.0], [2]).standard_error is None


def test_its_error_is_what_repeated_samples_show() -> None:
    source = random.Random(0)

    def sample() -> tuple[list[float], list[int]]:
        counts = [source.randint(5, 50) for _ in range(200)]
        return [sum(source.expovariate(0.5) for _ in range(c)) for c in counts], counts

    values = [perplexity(*sample()) for _ in range(150)]
    spread = statistics.stdev(estimate.value for estimate in values)
    errors = [estimate.standard_error or 0.0 for estimate in values]
    assert statistics.mean(errors) == pytest.approx(spread, rel=0.2)
