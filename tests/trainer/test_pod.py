from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from cupola_api.outcome import MAX_BYTES, FailureClass, Outcome, OutcomeKind, read
from cupola_api.run import TERMINATION_LOG
from cupola_trainer.failures import rank_lost
from cupola_trainer.pod import PodFailure, leave, say, stopped

CAUSE = PodFailure("LossNotFinite", "lower the learning rate", FailureClass.USER).outcome()
LATER = PodFailure("StorageFailed", "make room", FailureClass.INFRASTRUCTURE).outcome()
FOLLOWS = rank_lost("rank 0 is gone").outcome()
STOPPED = Outcome(outcome=OutcomeKind.STOPPED, reason="Terminated", message="as asked")
SAVED = STOPPED.model_copy(update={"step": 7})
DONE = Outcome(outcome=OutcomeKind.SUCCEEDED, step=9, message="x" * 500)


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = tmp_path / "termination-log"
    monkeypatch.setenv(TERMINATION_LOG, str(path))
    return path


@pytest.mark.parametrize(
    ("first", "second", "told"),
    [
        (CAUSE, FOLLOWS, CAUSE),
        (CAUSE, LATER, CAUSE),
        (CAUSE, SAVED, CAUSE),
        (FOLLOWS, CAUSE, CAUSE),
        (FOLLOWS, SAVED, SAVED),
        (FOLLOWS, FOLLOWS, FOLLOWS),
        (STOPPED, SAVED, SAVED),
        (STOPPED, FOLLOWS, STOPPED),
        (STOPPED, LATER, LATER),
        (STOPPED, DONE, DONE),
        (DONE, FOLLOWS, DONE),
        (DONE, DONE, DONE),
    ],
)
def test_of_two_messages_the_one_that_explains_is_told(
    place: Path, first: Outcome, second: Outcome, told: Outcome
) -> None:
    say(first)
    say(second)
    assert read(place.read_text()) == told


@pytest.mark.parametrize("first", [CAUSE, FOLLOWS, SAVED, DONE])
def test_a_word_for_the_case_that_none_follows_replaces_nothing(
    place: Path, first: Outcome
) -> None:
    leave(STOPPED)
    assert read(place.read_text()) == STOPPED
    assert stopped()
    place.unlink()
    say(first)
    leave(STOPPED)
    assert read(place.read_text()) == first
    assert stopped() is (first is SAVED)


@pytest.mark.parametrize("left", [b"", b"not a message", b"\xff" * 9000, b'{"outcome": "Fai'])
def test_what_is_no_message_gives_way(place: Path, left: bytes) -> None:
    place.write_bytes(left)
    assert not stopped()
    leave(CAUSE)
    assert read(place.read_text()) == CAUSE


def test_the_cause_is_told_whichever_rank_is_faster(place: Path) -> None:
    for _ in range(20):
        place.unlink(missing_ok=True)
        with ThreadPoolExecutor(4) as ranks:
            list(ranks.map(say, [FOLLOWS, FOLLOWS, CAUSE, FOLLOWS]))
        assert read(place.read_text()) == CAUSE


def test_a_kill_while_it_is_written_leaves_a_message(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The shorter message lies on the longer one before the file is cut."""
    say(DONE)
    monkeypatch.setattr(os, "ftruncate", lambda file, length: None)
    say(CAUSE)
    assert len(place.read_bytes()) == len(DONE.write())
    assert len(place.read_bytes()) <= MAX_BYTES
    assert read(place.read_text()) == CAUSE


def test_a_place_that_cannot_be_written_is_said(
    place: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    place.mkdir()
    say(CAUSE)
    out, err = capsys.readouterr()
    assert read(out) == CAUSE
    assert "termination-log cannot be written: Is a directory" in err


def test_a_pod_that_is_run_by_hand_prints_its_outcome(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv(TERMINATION_LOG, raising=False)
    say(Outcome(outcome=OutcomeKind.SUCCEEDED))
    assert read(capsys.readouterr().out.strip()) is not None
