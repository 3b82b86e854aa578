from __future__ import annotations

import pytest

from cupola_api.evaluation import Score, Threshold
from cupola_operator.report.evaluation import verdict, wanted


def score(value: float, other: float | None, *, errors: tuple[float | None, float | None] = (None, None),
          higher: bool = True) -> Score:  # fmt: skip
    return Score(
        task="t",
        metric="m",
        value=value,
        standard_error=errors[0],
        compared_to=other,
        compared_standard_error=errors[1],
        higher_is_better=higher,
    )


@pytest.mark.parametrize(
    ("given", "text"),
    [
        (score(1, None), ""),
        (score(1, 1), "the same"),
        (score(2, 1), "better"),
        (score(2, 1, higher=False), "worse"),
        (score(1, 2, higher=False), "better"),
        (score(2, 1, errors=(0.3, 0.4)), "better, by 2.0 standard errors"),
        (score(2, 1, errors=(0.4, 0.4)), "no clear difference"),
        (score(1, 2, errors=(0.1, 0.0)), "worse, by 10.0 standard errors"),
        (score(2, 1, errors=(0.0, 0.0)), "better"),
        (score(2, 1, errors=(0.1, None)), "better"),
    ],
)
def test_a_difference_is_judged_by_its_standard_error(given: Score, text: str) -> None:
    assert verdict(given) == text


@pytest.mark.parametrize(
    ("fields", "text"),
    [
        ({"min": 0.5}, "at least 0.5"),
        ({"min": 0.5, "max": 1}, "at least 0.5, at most 1"),
        ({"maxDrop": 0}, "no worse than the other model"),
        ({"maxDrop": 0.25}, "at most 0.25 worse than the other model"),
    ],
)
def test_thresholds_in_words(fields: dict[str, float], text: str) -> None:
    assert wanted(Threshold.model_validate({"task": "t", "metric": "m", **fields})) == text
