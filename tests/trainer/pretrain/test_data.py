from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from cupola_api.artifact import seal
from cupola_api.run import Hyperparameters, PretrainRun, Shape, WeightedInput, World
from cupola_api.training import Optimizer, Precision
from cupola_trainer.pod import PodFailure
from cupola_trainer.pretrain import data
from cupola_trainer.pretrain.data import TrainingData, ValidationData
from cupola_trainer.shards import write_shard

CONTEXT = 8


def _dataset(
    folder: Path,
    train: list[list[int]],
    validation: list[list[int]],
    *,
    tokenizer: str = "a",
    vocabulary: int = 1000,
) -> WeightedInput:
    write_shard(folder / "train", 0, train, vocabulary)
    write_shard(folder / "validation", 0, validation, vocabulary)
    facts = {"vocabulary": vocabulary, "tokenizerDigest": "sha256:" + tokenizer * 64}
    artifact = seal(folder, kind="Dataset", run="sha256:" + "0" * 64, facts=facts)
    return WeightedInput(
        kind="Dataset", name=folder.name, uri=artifact.uri, digest=artifact.digest, weight=1.0
    )


def _run(*datasets: WeightedInput, vocabulary: int = 1000) -> PretrainRun:
    return PretrainRun(
        namespace="default",
        name="small",
        output="file:///nowhere",
        datasets=list(datasets),
        shape=Shape(
            layers=1,
            hidden=16,
            heads=2,
            kv_heads=2,
            ffn=16,
            vocabulary=vocabulary,
            context=CONTEXT,
            tie_embeddings=True,
        ),
        steps=1,
        sequences_per_step=1,
        micro_batch=1,
        hyperparameters=Hyperparameters(
            optimizer=Optimizer(),
            learning_rate=1e-3,
            warmup_steps=0,
            final_ratio=0.1,
            weight_decay=0.1,
            gradient_clipping=1.0,
            precision=Precision.FP32,
            seed=0,
        ),
        world=World(nodes=1, gpus_per_node=1, threads=1, device="Cpu"),
        zero_stage=0,
        activation_checkpointing=False,
        checkpoint_seconds=1,
        checkpoint_keep=1,
    )


def test_an_epoch_holds_every_token_once_as_input_and_once_as_target(tmp_path: Path) -> None:
    run = _run(_dataset(tmp_path / "d", [list(range(30)), list(range(30, 60))], []))
    sequences = TrainingData(run, data.open_datasets(run)).read(range(7))
    assert sequences.dtype == np.int64
    assert sequences.shape == (7, CONTEXT + 1)
    assert sorted(sequences[:, :-1].ravel().tolist()) == list(range(56))
    assert sorted(sequences[:, 1:].ravel().tolist()) == list(range(1, 57))


def test_datasets_are_mixed_by_weight(tmp_path: Path) -> None:
    low = _dataset(tmp_path / "low", [list(range(100))], [])
    high = _dataset(tmp_path / "high", [list(range(500, 600))], [])
    run = _run(low, high.model_copy(update={"weight": 3.0}))
    first = TrainingData(run, data.open_datasets(run)).read(range(400))[:, 0]
    assert (first >= 500).sum() == 300


def test_validation_reads_all_datasets(tmp_path: Path) -> None:
    run = _run(
        _dataset(tmp_path / "a", [list(range(20))], [list(range(20))]),
        _dataset(tmp_path / "b", [list(range(20))], [[5] * 7]),
        _dataset(tmp_path / "c", [list(range(20))], [[7] * 9]),
    )
    held_out = ValidationData(CONTEXT, data.open_datasets(run))
    assert len(held_out) == 3
    assert held_out.read([0, 2]).tolist() == [list(range(9)), [7] * 9]
    expected = -sum(n / 24 * math.log(n / 24) for n in [9, *[1] * 15])
    assert held_out.unigram_entropy() == pytest.approx(expected)


def test_validation_is_capped_evenly(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(data, "VALIDATION_TOKENS", 4 * CONTEXT)
    run = _run(_dataset(tmp_path / "a", [list(range(20))], [list(range(81))]))
    held_out = ValidationData(CONTEXT, data.open_datasets(run))
    assert held_out.read(range(len(held_out)))[:, 0].tolist() == [0, 16, 40, 56]


def test_no_held_out_text_is_no_entropy(tmp_path: Path) -> None:
    run = _run(_dataset(tmp_path / "a", [list(range(20))], []))
    assert ValidationData(CONTEXT, data.open_datasets(run)).unigram_entropy() is None


def test_a_dataset_below_one_sequence_is_too_small(tmp_path: Path) -> None:
    run = _run(_dataset(tmp_path / "tiny", [list(range(8))], []))
    with pytest.raises(PodFailure, match="tiny has 8 training tokens") as caught:
        data.open_datasets(run)
    assert caught.value.reason == "DatasetTooSmall"
    assert "spec.model.context" in caught.value.message


def test_different_tokenizers_do_not_mix(tmp_path: Path) -> None:
    run = _run(
        _dataset(tmp_path / "x", [list(range(20))], []),
        _dataset(tmp_path / "y", [list(range(20))], [], tokenizer="b"),
    )
    with pytest.raises(PodFailure, match="x and y have different tokenizers") as caught:
        data.open_datasets(run)
    assert caught.value.reason == "TokenizerMismatch"


def test_a_vocabulary_larger_than_the_model_is_refused(tmp_path: Path) -> None:
    run = _run(_dataset(tmp_path / "d", [list(range(20))], []), vocabulary=999)
    with pytest.raises(PodFailure, match="1000 different tokens") as caught:
        data.open_datasets(run)
    assert caught.value.reason == "VocabularyMismatch"


def test_a_changed_dataset_is_refused(tmp_path: Path) -> None:
    run = _run(_dataset(tmp_path / "d", [list(range(20))], []))
    data.check(run)
    (tmp_path / "d/train/00000.tokens").write_bytes(b"\0" * 40)
    with pytest.raises(PodFailure, match="other content") as caught:
        data.check(run)
    assert caught.value.reason == "InputInvalid"
