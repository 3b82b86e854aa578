"""A tuning whose base, Dataset, checkpoints and model lie in a real bucket."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest

from cupola_api.finetune import LoraTuning, Tuning
from cupola_api.outcome import Outcome
from cupola_api.run import ATTEMPT, FineTuneRun, Input
from cupola_trainer import storage
from cupola_trainer.finetune import work
from cupola_trainer.history import History
from cupola_trainer.storage import place_of, s3, scratch


def finetune(run: FineTuneRun) -> Outcome:
    # Accelerate tells its children by environment variables which rank they are.
    with patch.dict(os.environ):
        return work.finetune(run)


def moved(source: Input, to: str) -> Input:
    """The same input in a bucket."""
    here = place_of(source.uri)
    assert isinstance(here, Path)
    return source.model_copy(update={"uri": storage.publish(here, place_of(to)).uri})


def test_a_tuning_that_is_stopped_comes_to_the_model_of_a_disk(
    run: FineTuneRun, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    tuning = Tuning(lora=LoraTuning(rank=4, merge=False))
    here = run.model_copy(update={"tuning": tuning, "checkpoint_seconds": 0})
    expected = finetune(here)
    assert expected.artifact is not None
    there = here.model_copy(
        update={
            "base": moved(here.base, f"{bucket}/base"),
            "dataset": moved(here.dataset, f"{bucket}/dataset"),
            "output": f"{bucket}/out",
        }
    )
    assert there.digest == here.digest
    folder = place_of(there.folder)
    append = History.append

    def stop(history: History, entry: dict[str, Any]) -> None:
        append(history, entry)
        if entry["step"] == 4:
            signal.raise_signal(signal.SIGTERM)

    monkeypatch.setenv(ATTEMPT, "a1")
    with pytest.MonkeyPatch.context() as stopping:
        stopping.setattr(History, "append", stop)
        said = finetune(there)
    assert said.outcome == "Stopped"
    assert said.step is not None
    assert 4 <= said.step < 15
    monkeypatch.setenv(ATTEMPT, "a2")
    outcome = finetune(there)
    assert outcome.artifact == expected.artifact.model_copy(
        update={"uri": f"{there.folder}/a2/artifact"}
    )
    assert outcome.model == expected.model
    lines = storage.read(folder / "a2/history.jsonl").splitlines()
    assert [json.loads(line)["step"] for line in lines] == [*range(said.step + 1, 16)]
    monkeypatch.setenv(ATTEMPT, "a3")
    assert finetune(there).artifact == outcome.artifact
    assert not list(s3.below(folder / "a3"))
    left = {path.name for path in scratch.root().rglob("*.safetensors")}
    assert left == {"model.safetensors"}, "of what was brought in, the base alone stays"
