"""Whole pretraining runs of a tiny model, by one rank in this process."""

from __future__ import annotations

import argparse
import shutil
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import AutoModelForCausalLM, PreTrainedTokenizerFast

from cupola_api.artifact import MANIFEST, Manifest, canonical, verify
from cupola_api.outcome import Outcome, OutcomeKind
from cupola_api.run import (
    CurateRun,
    PretrainRun,
    WeightedInput,
    World,
)
from cupola_api.training import Attention, Precision
from cupola_trainer import history, storage
from cupola_trainer.model import build
from cupola_trainer.packing import logits_of
from cupola_trainer.pod import PodFailure
from cupola_trainer.pretrain import main
from cupola_trainer.pretrain.data import TrainingData, ValidationData, open_datasets
from cupola_trainer.pretrain.schedule import learning_rate
from cupola_trainer.shards import read_documents

# DeepSpeed uses what PyTorch is about to drop.
pytestmark = pytest.mark.filterwarnings(
    "ignore:`torch.distributed:FutureWarning", "ignore:`torch.jit:DeprecationWarning"
)

VOCABULARY = 300
CONTEXT = 32
"""Of the run `tiny`."""

Tiny = Callable[..., PretrainRun]
Train = Callable[..., Outcome]


@pytest.fixture(autouse=True)
def _restore_torch() -> Iterator[None]:
    threads = torch.get_num_threads()
    yield
    torch.set_num_threads(threads)
    torch.use_deterministic_algorithms(mode=False)


def _stop_after(step: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Send this process SIGTERM while it records a step."""

    def append(self: history.History, entry: dict[str, float]) -> None:
        if entry["step"] == step:
            signal.raise_signal(signal.SIGTERM)

    monkeypatch.setattr(history.History, "append", append)


def test_a_run_ends_with_a_model_that_has_learned(
    tiny: Tiny, dataset: WeightedInput, train: Train
) -> None:
    run = tiny(steps=60)
    outcome = train(run)
    assert outcome.outcome is OutcomeKind.SUCCEEDED
    assert outcome.artifact is not None
    assert outcome.model is not None
    assert outcome.model.validation_loss < outcome.model.unigram_entropy
    assert outcome.model.tokens == 60 * 8 * CONTEXT
    folder = storage.place_of(run.folder) / "a1"
    manifest, artifact = verify(folder / "artifact")
    assert artifact == outcome.artifact
    assert manifest.inputs == [dataset.lineage()]
    assert manifest.facts == outcome.model.to_json()
    steps = history.read(folder.parent)
    assert [entry["step"] for entry in steps] == list(range(1, 61))
    assert outcome.model.train_loss == pytest.approx(sum(e["loss"] for e in steps[-10:]) / 10)
    model = AutoModelForCausalLM.from_pretrained(folder / "artifact", dtype="auto")
    assert model.dtype is torch.bfloat16
    assert model.num_parameters() == outcome.model.parameters
    tokenizer = PreTrainedTokenizerFast.from_pretrained(folder / "artifact")
    assert (tokenizer.eos_token_id, model.generation_config.pad_token_id) == (0, 1)


def test_on_a_volume_all_is_used_in_place_and_named_by_its_claim(
    tiny: Tiny,
    tmp_path: Path,
    dataset: WeightedInput,
    monkeypatch: pytest.MonkeyPatch,
    train: Train,
) -> None:
    expected = train(tiny("here"))
    assert expected.artifact is not None
    monkeypatch.setattr(storage.place, "MOUNT", tmp_path / "mnt")
    shutil.copytree(storage.place_of(dataset.uri), tmp_path / "mnt/data/words")
    run = tiny(datasets=[dataset.model_copy(update={"uri": "pvc://data/words"})])
    run = run.model_copy(update={"output": "pvc://models/team a"})
    outcome = train(run)
    name = run.folder.rpartition("/")[2]
    assert outcome.artifact == expected.artifact.model_copy(
        update={"uri": f"pvc://models/team%20a/{name}/a1/artifact"}
    )
    assert sorted(
        path.name for path in (tmp_path / "mnt/models/team a" / name / "a1").iterdir()
    ) == [
        "artifact",
        "history.jsonl",
    ]
    assert train(run, "a2") == outcome


def _reference_losses(run: PretrainRun) -> list[float]:
    """The same training as a plain PyTorch loop over whole batches."""
    model = build(run.shape, run.hyperparameters.seed)
    optimizer = torch.optim.AdamW(
        [
            {"params": [w for w in model.parameters() if w.ndim > 1], "weight_decay": 0.1},
            {"params": [w for w in model.parameters() if w.ndim == 1], "weight_decay": 0.0},
        ],
        betas=(0.9, 0.95),
        eps=1e-8,
    )
    data = TrainingData(run, open_datasets(run))
    losses = []
    for step in range(run.steps):
        tokens = torch.from_numpy(data.read(range(step * 8, step * 8 + 8)))
        within = run.attention is Attention.WITHIN_DOCUMENTS
        logits = logits_of(model, tokens[:, :-1], 0 if within else None)
        loss = torch.nn.functional.cross_entropy(logits.flatten(0, 1), tokens[:, 1:].flatten())
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        for group in optimizer.param_groups:
            group["lr"] = learning_rate(step, steps=12, warmup=2, peak=1e-2, final_ratio=0.1)
        optimizer.step()
        optimizer.zero_grad()
        losses.append(float(loss.detach()))
    return losses


@pytest.mark.parametrize("stage", range(4))
def test_losses_are_those_of_a_plain_loop(stage: int, tiny: Tiny, train: Train) -> None:
    run = tiny(precision=Precision.FP32, zero_stage=stage)
    train(run)
    losses = [entry["loss"] for entry in history.read(storage.place_of(run.folder))]
    assert losses == pytest.approx(_reference_losses(run), rel=1e-5)


def test_the_model_that_is_exported_has_the_loss_that_is_reported(
    tiny: Tiny, dataset: WeightedInput, train: Train
) -> None:
    outcome = train(tiny(precision=Precision.FP32))
    assert outcome.artifact is not None
    assert outcome.model is not None
    model = AutoModelForCausalLM.from_pretrained(storage.place_of(outcome.artifact.uri))
    texts = read_documents(storage.place_of(dataset.uri) / "validation", VOCABULARY)
    stream = torch.from_numpy(np.concatenate(texts))
    total, count = 0.0, 0
    for number in range((len(stream) - 1) // CONTEXT):
        window = stream[number * CONTEXT : (number + 1) * CONTEXT + 1]
        with torch.no_grad():
            logits = model(input_ids=window[None, :-1]).logits[0]
        total += float(torch.nn.functional.cross_entropy(logits, window[1:], reduction="sum"))
        count += CONTEXT
    assert outcome.model.validation_loss == pytest.approx(total / count, rel=1e-5)


@pytest.mark.parametrize(
    ("stage", "precision"), [(0, Precision.FP32), (0, Precision.BF16), (3, Precision.BF16)]
)
def test_a_run_that_was_stopped_ends_with_the_same_bytes(
    stage: int, precision: Precision, tiny: Tiny, monkeypatch: pytest.MonkeyPatch, train: Train
) -> None:
    whole = tiny("whole", zero_stage=stage, precision=precision)
    cut = tiny("cut", zero_stage=stage, precision=precision)
    assert whole.digest == cut.digest
    expected = train(whole)
    with monkeypatch.context() as patch:
        _stop_after(5, patch)
        stopped = train(cut, "a1")
    assert (stopped.outcome, stopped.reason, stopped.step) == ("Stopped", "Terminated", 6)
    outcome = train(cut, "a2")
    assert expected.artifact is not None
    assert outcome.artifact is not None
    assert outcome.artifact.digest == expected.artifact.digest
    assert outcome.model == expected.model


def test_a_finished_run_ends_at_once(tiny: Tiny, train: Train) -> None:
    run = tiny(steps=2)
    first = train(run, "a1")
    again = train(run, "a2")
    assert again == first
    assert not (storage.place_of(run.folder) / "a2").exists()


def test_a_broken_checkpoint_is_passed_over_with_a_warning(
    tiny: Tiny, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], train: Train
) -> None:
    run = tiny()
    folder = storage.place_of(run.folder)
    for step, attempt in ((3, "a1"), (7, "a2")):
        with monkeypatch.context() as patch:
            _stop_after(step, patch)
            train(run, attempt)
    (folder / "a2/checkpoints/step-0000008/rank-00000.safetensors").write_bytes(b"torn")
    capsys.readouterr()
    assert train(run, "a3").outcome is OutcomeKind.SUCCEEDED
    printed = capsys.readouterr().out
    assert "warning: checkpoint a2/checkpoints/step-0000008 is passed over: " in printed
    assert "rank-00000.safetensors has 4 bytes, expected " in printed
    assert "; going on from a1/checkpoints/step-0000004 instead\n" in printed


def _adopt(checkpoint: Path, run: PretrainRun) -> None:
    """Put a checkpoint into the folder of a run that differs in layout only."""
    place = storage.place_of(run.folder) / "a0/checkpoints" / checkpoint.name
    shutil.copytree(checkpoint, place)
    manifest = Manifest.model_validate_json((place / MANIFEST).read_bytes())
    manifest = manifest.model_copy(update={"run": run.digest})
    (place / MANIFEST).write_bytes(canonical(manifest.to_json()))


@pytest.mark.parametrize("stage", [0, 2, 3])
def test_another_layout_goes_on_from_a_checkpoint(
    stage: int, tiny: Tiny, monkeypatch: pytest.MonkeyPatch, train: Train
) -> None:
    whole = tiny("whole", precision=Precision.FP32)
    train(whole)
    cut = tiny("cut", precision=Precision.FP32)
    with monkeypatch.context() as patch:
        _stop_after(5, patch)
        train(cut)
    other = tiny(precision=Precision.FP32, zero_stage=stage, micro_batch=2).model_copy(
        update={"activation_checkpointing": stage == 2}
    )
    _adopt(storage.place_of(cut.folder) / "a1/checkpoints/step-0000006", other)
    train(other)
    expected, got = (
        [(entry["step"], entry["loss"]) for entry in history.read(storage.place_of(run.folder))]
        for run in (whole, other)
    )
    assert [step for step, _ in got] == list(range(7, 13))
    assert [loss for _, loss in got] == pytest.approx([loss for _, loss in expected[6:]], rel=1e-5)


def test_a_loss_that_explodes_is_the_users_move(tiny: Tiny, train: Train) -> None:
    run = tiny(learning_rate=1.0, steps=500)
    run = run.model_copy(
        update={
            "hyperparameters": run.hyperparameters.model_copy(
                update={"learning_rate": 1e30, "gradient_clipping": 0.0}
            )
        }
    )
    with pytest.raises(PodFailure, match="learningRate") as caught:
        train(run)
    assert caught.value.reason == "LossNotFinite"
    assert caught.value.failure == "User"


def test_a_batch_that_does_not_divide_is_refused(tiny: Tiny, train: Train) -> None:
    with pytest.raises(PodFailure, match=r"multiple of 96 tokens") as caught:
        train(tiny(micro_batch=3))
    assert caught.value.reason == "BatchIndivisible"


def test_too_few_ranks_are_refused(tiny: Tiny, train: Train) -> None:
    world = World(nodes=2, gpus_per_node=1, threads=1, device="Cpu")
    with pytest.raises(PodFailure, match="planned for 2") as caught:
        train(tiny(world=world))
    assert caught.value.reason == "WorldMismatch"


def test_another_kind_of_run_is_refused() -> None:
    with pytest.raises(PodFailure, match="not a CurateRun"):
        main(CurateRun.model_construct(), argparse.Namespace())


def test_a_model_that_attends_within_documents_is_trained_and_measured_so(
    tiny: Tiny, train: Train
) -> None:
    changes = {"precision": Precision.FP32, "attention": Attention.WITHIN_DOCUMENTS}
    run = tiny(**changes)
    outcome = train(run)
    assert outcome.artifact is not None
    assert outcome.model is not None
    losses = [entry["loss"] for entry in history.read(storage.place_of(run.folder))]
    assert losses == pytest.approx(_reference_losses(run), rel=1e-5)
    model = AutoModelForCausalLM.from_pretrained(storage.place_of(outcome.artifact.uri))
    held_out = ValidationData(CONTEXT, open_datasets(run))
    total = 0.0
    for number in range(len(held_out)):
        tokens = torch.from_numpy(held_out.read([number]))
        with torch.no_grad():
            logits = logits_of(model, tokens[:, :-1], 0)[0]
        total += float(torch.nn.functional.cross_entropy(logits, tokens[0, 1:]))
    assert outcome.model.validation_loss == pytest.approx(total / len(held_out), rel=1e-5)
