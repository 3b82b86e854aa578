"""The termination message at its limit of 4,096 bytes."""

from __future__ import annotations

import json

import pytest

from cupola_api.artifact import digest_of
from cupola_api.evaluation import Score
from cupola_api.outcome import MAX_BYTES, Listing, Outcome, OutcomeKind, read

SCORE = Score(task="t" * 40, metric="perplexity", value=1.5, standard_error=0.25)


def outcome(message: str) -> Outcome:
    return Outcome(outcome=OutcomeKind.SUCCEEDED, message=message, scores=[SCORE] * 28)


def filled(size: int, letter: str = "x") -> Outcome:
    """An outcome whose message would take `size` bytes."""
    room = size - len(outcome("").write().encode())
    count, rest = divmod(room, len(letter.encode()))
    return outcome(letter * count + "." * rest)


def test_a_message_that_fits_is_written_whole() -> None:
    text = filled(MAX_BYTES).write()
    assert len(text.encode()) == MAX_BYTES
    assert read(text) == filled(MAX_BYTES)


@pytest.mark.parametrize("letter", ["x", "ä", "\n"])
def test_a_sentence_that_does_not_fit_loses_its_end(letter: str) -> None:
    whole = filled(MAX_BYTES + 1, letter)
    text = whole.write()
    assert len(text.encode()) <= MAX_BYTES
    found = read(text)
    assert found is not None
    assert found.message.endswith("...")
    assert whole.message.startswith(found.message.removesuffix("..."))
    assert found.scores == whole.scores


def test_a_message_over_the_limit_is_not_read() -> None:
    text = filled(MAX_BYTES).write()
    assert read(text + " ") is None


def test_a_message_holds_names_of_the_api_and_nothing_that_is_absent() -> None:
    listing = Listing(uri="file:///l", digest=digest_of("l"), parts=1, files=2, bytes=3)
    value = Outcome(outcome=OutcomeKind.SUCCEEDED, listing=listing, scores=[SCORE])
    written = json.loads(value.write())
    assert written.keys() == {"outcome", "reason", "message", "listing", "scores"}
    assert written["scores"][0]["standardError"] == 0.25
