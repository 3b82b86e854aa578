from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch

from cupola_api.artifact import read_manifest, verify
from cupola_api.finetune import LoraTuning, Tuning
from cupola_api.outcome import Outcome, OutcomeKind, read
from cupola_api.run import ATTEMPT, TERMINATION_LOG, FineTuneRun, World, dump
from cupola_api.training import Precision
from cupola_trainer import generate
from cupola_trainer.storage import place_of


def launch(run: FineTuneRun, folder: Path, attempt: str = "a1") -> Outcome:
    (folder / "run.yaml").write_text(dump(run))
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node"]
    command += [str(run.world.size), "-m", "cupola_trainer", "finetune", str(folder / "run.yaml")]
    environment = {
        **os.environ,
        ATTEMPT: attempt,
        TERMINATION_LOG: str(folder / "message"),
        "OMP_NUM_THREADS": "1",
    }
    done = subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=240, check=False
    )
    message = folder / "message"
    outcome = read(message.read_text() if message.exists() else None)
    assert outcome is not None, done.stderr[-3000:]
    assert outcome.outcome is OutcomeKind.SUCCEEDED, (outcome, done.stderr[-3000:])
    return outcome


def history_of(attempt: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (attempt / "history.jsonl").read_text().splitlines()]


def with_changes(run: FineTuneRun, **changes: Any) -> FineTuneRun:
    return run.model_copy(update=changes)


@pytest.mark.local
def test_two_ranks_with_sharded_optimizer_learn_the_task(run: FineTuneRun, tmp_path: Path) -> None:
    run = with_changes(
        run,
        world=World(nodes=1, gpus_per_node=2, threads=1, device="Cpu"),
        hyperparameters=run.hyperparameters.model_copy(update={"precision": Precision.BF16}),
        epochs=6,
    )
    outcome = launch(run, tmp_path)
    assert outcome.artifact is not None
    assert outcome.model is not None
    place = place_of(run.folder) / "a1" / "artifact"
    manifest, artifact = verify(place)
    assert artifact == outcome.artifact
    assert [entry.kind for entry in manifest.inputs] == ["PretrainJob", "Dataset"]
    history = history_of(place.parent)
    assert [entry["step"] for entry in history] == list(range(1, 31))
    assert history[-1]["loss"] < history[0]["loss"] / 2
    assert history[-1]["tokens"] == outcome.model.tokens
    assert outcome.model.validation_loss is not None
    assert outcome.model.unigram_entropy is not None
    assert outcome.model.validation_loss < outcome.model.unigram_entropy
    assert outcome.model.trainable_parameters is None
    model, _ = generate.load(place)
    assert model.num_parameters() == outcome.model.parameters
    assert json.loads((place / "config.json").read_text())["dtype"] == "bfloat16"


@pytest.mark.local
@pytest.mark.filterwarnings("ignore:.* is deprecated:FutureWarning")  # PEFT to Transformers
def test_an_unmerged_adapter_lies_beside_its_base(run: FineTuneRun, tmp_path: Path) -> None:
    run = with_changes(run, tuning=Tuning(lora=LoraTuning(rank=4, alpha=8, merge=False)))
    outcome = launch(run, tmp_path)
    place = place_of(run.folder) / "a1" / "artifact"
    names = {file.path for file in read_manifest(place)[0].files}
    assert {"adapter_config.json", "adapter_model.safetensors", "tokenizer.json"} <= names
    assert "base/model.safetensors" in names
    config = json.loads((place / "adapter_config.json").read_text())
    assert config["base_model_name_or_path"] == "base"
    whole = b"".join((place / name).read_bytes() for name in names)
    assert str(tmp_path).encode() not in whole
    assert outcome.model is not None
    assert outcome.model.trainable_parameters is not None
    assert 0 < outcome.model.trainable_parameters < outcome.model.parameters
    base, _ = generate.load(place_of(run.base.uri))
    tuned, _ = generate.load(place)
    changed = {
        name
        for (name, before), after in zip(base.named_parameters(), tuned.parameters(), strict=True)
        if not torch.equal(before, after)
    }
    assert changed
    assert all("_proj" in name for name in changed)
