from __future__ import annotations

import pytest

from cupola_api.evaluation import Score
from cupola_api.outcome import MAX_BYTES, FailureClass, Outcome, OutcomeKind, read


def test_what_is_written_is_read_back() -> None:
    outcome = Outcome(
        outcome=OutcomeKind.FAILED,
        reason="DatasetEmpty",
        failure=FailureClass.DATA,
        message="nothing was kept",
        step=3,
    )
    assert read(outcome.write()) == outcome


def test_thirty_two_scores_and_a_long_sentence_fit_the_message() -> None:
    score = Score(task="t" * 12, metric="perplexity", value=123.456, standard_error=1.23456)
    outcome = Outcome(outcome=OutcomeKind.SUCCEEDED, message="x" * 500, scores=[score] * 32)
    text = outcome.write()
    assert len(text.encode()) <= MAX_BYTES
    found = read(text)
    assert found is not None
    assert len(found.scores) == 32


@pytest.mark.parametrize(
    "message",
    [
        None,
        "",
        "Traceback (most recent call last):",
        "{}",
        '{"outcome": "Succeeded", "surprise": 1}',
        '{"outcome": "Maybe"}',
        '{"outcome": "Succeeded", "message": "' + "x" * 5000 + '"}',
        '{"outcome": "Succeeded", "reason": "no spaces"}',
    ],
)
def test_a_message_that_is_not_an_outcome_is_no_outcome(message: str | None) -> None:
    assert read(message) is None
