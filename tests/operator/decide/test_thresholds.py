from __future__ import annotations

import pytest

from cupola_api.evaluation import Score, Threshold
from cupola_operator.decide.thresholds import missed


def score(value: float, compared: float | None = None, *, higher: bool = True) -> Score:
    return Score(task="t", metric="acc", value=value, compared_to=compared, higher_is_better=higher)


@pytest.mark.parametrize(
    ("bound", "measured", "words"),
    [
        ({"min": 0.5}, score(0.5), None),
        ({"min": 0.5}, score(0.49), "acc of t is 0.49, below 0.5"),
        ({"max": 5}, score(5), None),
        ({"max": 5}, score(5.1), "acc of t is 5.1, above 5"),
        ({"maxDrop": 0.1}, score(0.4, 0.5), None),
        ({"maxDrop": 0.1}, score(0.9, 0.5), None),
        ({"maxDrop": 0.25}, score(0.25, 0.5), None),
        ({"maxDrop": 0.25}, score(0.5, 0.25, higher=False), None),
        ({"maxDrop": 0.1}, score(0.3, 0.5), "worse by 0.2 than 0.5 of compareTo"),
        ({"maxDrop": 0.5}, score(5.4, 5.0, higher=False), None),
        ({"maxDrop": 0.5}, score(6.0, 5.0, higher=False), "worse by 1 than 5 of compareTo"),
        ({"maxDrop": 0}, score(4.0, 5.0, higher=False), None),
        ({"maxDrop": 0.1}, score(0.4), "acc of t has no value for compareTo"),
    ],
)
def test_a_bound(bound: dict[str, float], measured: Score, words: str | None) -> None:
    threshold = Threshold.model_validate({"task": "t", "metric": "acc", **bound})
    sentences = missed([threshold], [measured])
    if words is None:
        assert sentences == []
    else:
        assert words in sentences[0]


def test_each_bound_that_is_missed_is_said() -> None:
    threshold = Threshold(task="t", metric="acc", min=0.9, max=0.1)
    assert missed([threshold], [score(0.5)]) == [
        "acc of t is 0.5, below 0.9; acc of t is 0.5, above 0.1"
    ]


def test_a_sentence_fits_in_status() -> None:
    many = [score(1).model_copy(update={"metric": f"{i:060d}"}) for i in range(64)]
    (sentence,) = missed([Threshold(task="t", metric="f1", min=0)], many)
    assert len(sentence) == 512


def test_a_metric_that_was_not_measured_is_missed() -> None:
    threshold = Threshold(task="t", metric="f1", min=0)
    assert missed([threshold], [score(1)]) == ["f1 of t was not measured; t has acc"]
    more = score(1).model_copy(update={"metric": "bleu"})
    assert missed([threshold], [score(1), more]) == ["f1 of t was not measured; t has acc, bleu"]
    assert missed([threshold], []) == ["f1 of t was not measured; t has no scores"]
