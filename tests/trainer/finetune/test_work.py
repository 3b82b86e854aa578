from __future__ import annotations

import argparse
import errno
import math
import os
import re
import signal
import threading
import time
from pathlib import Path
from typing import Any
from unittest.mock import patch

import pytest
import torch
from transformers import LlamaForCausalLM

from cupola_api.artifact import MANIFEST, hash_file, read_manifest, seal, verify
from cupola_api.finetune import LoraTuning, Tuning
from cupola_api.outcome import FailureClass, Outcome, OutcomeKind
from cupola_api.run import ATTEMPT, FineTuneRun, Input, ListRun
from cupola_trainer import generate, termination
from cupola_trainer.finetune import artifact, main, work
from cupola_trainer.likelihood import answer, losses
from cupola_trainer.pairs import read_pairs
from cupola_trainer.pod import PodFailure
from cupola_trainer.storage import place_of

RUN = f"sha256:{'1' * 64}"


def finetune(run: FineTuneRun) -> Outcome:
    # Accelerate tells its children by environment variables which rank they are.
    with patch.dict(os.environ):
        return work.finetune(run)


def changed(run: FineTuneRun, **changes: Any) -> FineTuneRun:
    return run.model_copy(update=changes)


def files(folder: Path) -> dict[str, str]:
    return {
        path.relative_to(folder).as_posix(): hash_file(path)
        for path in folder.rglob("*")
        if path.is_file()
    }


def remade(source: Input, folder: Path, facts: dict[str, Any]) -> Input:
    sealed = seal(folder, kind="x", run=RUN, facts=facts)
    return source.model_copy(update={"uri": sealed.uri, "digest": sealed.digest})


def test_the_same_run_gives_the_same_bytes_and_is_not_done_twice(
    run: FineTuneRun, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(ATTEMPT, "a1")
    first = finetune(run)
    again = finetune(changed(run, output=(tmp_path / "elsewhere").as_uri()))
    assert first.artifact is not None
    assert again.artifact is not None
    assert first.artifact.digest == again.artifact.digest
    place = place_of(run.folder) / "a1" / "artifact"
    assert files(place) == files(place_of(again.artifact.uri))
    monkeypatch.setenv(ATTEMPT, "a2")
    assert finetune(run) == first
    assert not (place_of(run.folder) / "a2").exists()


def test_the_loss_at_the_end_is_that_of_the_saved_model(run: FineTuneRun) -> None:
    outcome = finetune(run)
    assert outcome.artifact is not None
    assert outcome.model is not None
    model, tokenizer = generate.load(place_of(outcome.artifact.uri))
    pairs = read_pairs(place_of(run.dataset.uri), "validation")
    held_out = [answer(tokenizer, *pair) for pair in pairs]
    loss = sum(losses(model, held_out)) / sum(s.scored for s in held_out)
    assert outcome.model.validation_loss == pytest.approx(loss, rel=1e-5)
    facts = read_manifest(place_of(outcome.artifact.uri))[0].facts
    assert facts == outcome.model.to_json()
    assert (
        facts["tokenizerDigest"]
        == read_manifest(place_of(run.base.uri))[0].facts["tokenizerDigest"]
    )


def test_merged_adapters_make_a_plain_model_that_can_be_tuned_again(
    run: FineTuneRun, tmp_path: Path
) -> None:
    outcome = finetune(changed(run, tuning=Tuning(lora=LoraTuning(rank=2, alpha=4))))
    assert outcome.artifact is not None
    place = place_of(outcome.artifact.uri)
    assert not (place / generate.ADAPTER).exists()
    assert outcome.model is not None
    assert outcome.model.trainable_parameters is not None
    base = run.base.model_copy(
        update={"uri": outcome.artifact.uri, "digest": outcome.artifact.digest}
    )
    assert finetune(changed(run, base=base)).outcome is OutcomeKind.SUCCEEDED


def test_an_unmerged_adapter_is_added_in_before_it_is_tuned(run: FineTuneRun) -> None:
    lora = Tuning(lora=LoraTuning(rank=2, alpha=4, merge=False))
    outcome = finetune(changed(run, tuning=lora))
    assert outcome.artifact is not None
    place = place_of(outcome.artifact.uri)
    plain = LlamaForCausalLM.from_pretrained(place / "base")
    start, _ = artifact.load_base(place, run)
    whole, _ = generate.load(place)
    ids = torch.arange(2, 20)[None]
    with torch.no_grad():
        assert torch.equal(start(ids).logits, whole(ids).logits)
        assert not torch.equal(start(ids).logits, plain(ids).logits)


def test_a_dataset_without_a_task_is_refused(run: FineTuneRun, tmp_path: Path) -> None:
    facts = read_manifest(place_of(run.dataset.uri))[0].facts
    run = changed(run, dataset=remade(run.dataset, tmp_path / "text", facts))
    with pytest.raises(PodFailure, match=r"Dataset pairs .* write spec\.task") as failure:
        finetune(run)
    assert failure.value.reason == "DatasetHasNoTask"
    assert failure.value.failure is FailureClass.USER


def test_another_tokenizer_is_refused(run: FineTuneRun, tmp_path: Path) -> None:
    (tmp_path / "other" / "pairs").mkdir(parents=True)
    facts = {"tokenizerDigest": RUN}
    run = changed(run, dataset=remade(run.dataset, tmp_path / "other", facts))
    with pytest.raises(PodFailure, match=r"spec\.tokenizer\.dataset") as failure:
        finetune(run)
    assert failure.value.reason == "TokenizerMismatch"


def test_a_damaged_base_is_refused_before_anything_is_written(
    run: FineTuneRun, tmp_path: Path
) -> None:
    wrong = run.base.model_copy(update={"digest": RUN})
    run = changed(run, base=wrong)
    with pytest.raises(PodFailure, match="PretrainJob base is not as it was made"):
        finetune(run)
    assert not place_of(run.folder).exists()


def test_examples_that_are_all_too_long_are_refused(run: FineTuneRun) -> None:
    with pytest.raises(PodFailure, match=r"40 are longer.*spec\.maxLength") as failure:
        finetune(changed(run, max_length=16))
    assert failure.value.reason == "NothingToTrainOn"


def test_layers_that_are_not_there_cannot_be_adapted(run: FineTuneRun) -> None:
    run = changed(run, tuning=Tuning(lora=LoraTuning(targets=["nowhere"])))
    with pytest.raises(PodFailure, match=r"nowhere cannot be adapted; choose from .*q_proj"):
        finetune(run)


def test_a_learning_rate_that_breaks_the_model_is_named(run: FineTuneRun) -> None:
    broken = run.hyperparameters.model_copy(update={"learning_rate": 1e30})
    with pytest.raises(PodFailure, match=r"lower spec\.schedule\.learningRate") as failure:
        finetune(changed(run, hyperparameters=broken))
    assert failure.value.reason == "LossNotFinite"


def test_sigterm_ends_the_training_at_a_step_with_a_checkpoint_and_no_artifact(
    run: FineTuneRun,
) -> None:
    run = changed(run, epochs=1000)
    history = place_of(run.folder) / "manual" / "history.jsonl"

    def ask() -> None:
        for _ in range(600):
            if history.exists() and history.stat().st_size:
                os.kill(os.getpid(), signal.SIGTERM)
                return
            time.sleep(0.1)

    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    outcome = finetune(run)
    thread.join()
    assert outcome.outcome is OutcomeKind.STOPPED
    said = rf"stopped as asked after step {outcome.step} of 5000; .* goes on from there"
    assert re.fullmatch(said, outcome.message)
    (manifest,) = place_of(run.folder).rglob(MANIFEST)
    assert read_manifest(manifest.parent)[0].facts == {"step": outcome.step}


def test_another_kind_of_run_is_refused() -> None:
    other = ListRun(namespace="default", name="x", output="file:///x", sources=[])
    with pytest.raises(PodFailure, match="needs a FineTuneRun, not a ListRun"):
        main(other, argparse.Namespace())


def test_a_damaged_artifact_is_said_and_made_again(
    run: FineTuneRun, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv(ATTEMPT, "a1")
    first = finetune(run)
    assert first.artifact is not None
    weights = place_of(first.artifact.uri) / "model.safetensors"
    data = bytearray(weights.read_bytes())
    data[-1] ^= 1
    weights.write_bytes(data)
    monkeypatch.setenv(ATTEMPT, "a2")
    again = finetune(run)
    assert "warning: the artifact of this run is damaged: " in capsys.readouterr().out
    assert again.artifact is not None
    assert again.artifact.uri != first.artifact.uri
    assert again.artifact.digest == first.artifact.digest
    verify(place_of(again.artifact.uri))


def test_a_run_that_is_asked_while_it_saves_its_model_ends_with_it(
    run: FineTuneRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    save = artifact.save

    def asked(*arguments: Any) -> tuple[int, int]:
        with termination.Termination():  # in a pod it stays open to the end
            signal.raise_signal(signal.SIGTERM)
            return save(*arguments)

    monkeypatch.setattr(artifact, "save", asked)
    assert finetune(run).outcome is OutcomeKind.SUCCEEDED


def test_a_model_without_a_loss_is_the_users_move(
    run: FineTuneRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its last step went too far: the loss of that step was still that of the weights before."""
    monkeypatch.setattr("cupola_trainer.likelihood.losses", lambda *_: [math.nan])
    with pytest.raises(PodFailure, match=r"loss nan on held-out answers; set a lower") as failure:
        finetune(run)
    assert (failure.value.reason, failure.value.failure) == ("LossNotFinite", FailureClass.USER)
    assert not list(place_of(run.folder).rglob(MANIFEST))


def test_a_base_on_storage_that_fails_is_no_fault_of_the_data(
    run: FineTuneRun, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(folder: Path, **_: Any) -> None:
        raise OSError(errno.EIO, "x", str(folder / "config.json"))

    monkeypatch.setattr(generate, "load", fail)
    with pytest.raises(PodFailure, match=r"config\.json cannot be used: Input/output") as failure:
        finetune(run)
    assert failure.value.failure is FailureClass.INFRASTRUCTURE
