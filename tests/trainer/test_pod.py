from __future__ import annotations

from pathlib import Path

import pytest

from cupola_api.outcome import FailureClass, Outcome, OutcomeKind, read
from cupola_api.run import TERMINATION_LOG
from cupola_trainer.pod import PodFailure, say


def test_the_first_failure_of_a_pod_is_the_one_that_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = tmp_path / "termination-log"
    monkeypatch.setenv(TERMINATION_LOG, str(place))
    say(PodFailure("LossNotFinite", "lower the learning rate", FailureClass.USER).outcome())
    say(PodFailure("RankLost", "rank 0 is gone", FailureClass.INFRASTRUCTURE).outcome())
    said = read(place.read_text())
    assert said is not None
    assert said.reason == "LossNotFinite"


def test_a_pod_that_is_run_by_hand_prints_its_outcome(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv(TERMINATION_LOG, raising=False)
    say(Outcome(outcome=OutcomeKind.SUCCEEDED))
    assert read(capsys.readouterr().out.strip()) is not None
