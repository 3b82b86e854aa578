from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from cupola_api.artifact import seal
from cupola_api.run import ORDER, Hyperparameters, PretrainRun, Shape, WeightedInput, World
from cupola_api.training import Optimizer, Precision
from cupola_trainer import shards, storage
from cupola_trainer.pod import PodFailure
from cupola_trainer.pretrain import data
from cupola_trainer.pretrain.data import TrainingData, ValidationData
from cupola_trainer.pretrain.order import WINDOW
from cupola_trainer.shards import write_index, write_shard
from cupola_trainer.storage import s3
from cupola_trainer.storage.pieces import Brought

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
    for split in ("train", "validation"):
        write_index(folder / split, vocabulary)
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
        order=ORDER,
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


def test_validation_is_capped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(data, "VALIDATION_TOKENS", 4 * CONTEXT)
    run = _run(_dataset(tmp_path / "a", [list(range(20))], [list(range(81))]))
    held_out = ValidationData(CONTEXT, data.open_datasets(run))
    assert held_out.read(range(len(held_out)))[:, 0].tolist() == [0, 8, 16, 24]


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
        TrainingData(run, data.open_datasets(run)).read([0])
    assert caught.value.reason == "InputInvalid"


def test_a_run_that_was_planned_for_another_order_is_refused(tmp_path: Path) -> None:
    run = _run(_dataset(tmp_path / "d", [list(range(20))], []))
    data.check(run)
    with pytest.raises(PodFailure, match=r"with a new spec\.revision") as caught:
        data.check(run.model_copy(update={"order": ORDER - 1}))
    assert caught.value.reason == "OrderChanged"


def test_a_dataset_without_an_index_must_be_made_again(tmp_path: Path) -> None:
    write_shard(tmp_path / "old/train", 0, [list(range(20))], 1000)
    write_shard(tmp_path / "old/validation", 0, [], 1000)
    facts = {"vocabulary": 1000, "tokenizerDigest": "sha256:" + "a" * 64}
    artifact = seal(tmp_path / "old", kind="Dataset", run="sha256:" + "0" * 64, facts=facts)
    old = WeightedInput(
        kind="Dataset", name="old", uri=artifact.uri, digest=artifact.digest, weight=1.0
    )
    with pytest.raises(PodFailure, match="old has no index of its tokens") as caught:
        data.open_datasets(_run(old))
    assert caught.value.reason == "DatasetInvalid"


@pytest.mark.parametrize("part", ["train/index", "tokenizer/tokenizer.json", "manifest.json"])
def test_what_is_read_at_the_start_is_checked_at_the_start(part: str, tmp_path: Path) -> None:
    (tmp_path / "d/tokenizer").mkdir(parents=True)
    (tmp_path / "d/tokenizer/tokenizer.json").write_text("{}")
    run = _run(_dataset(tmp_path / "d", [list(range(20))], []))
    path = tmp_path / "d" / part
    path.write_bytes(path.read_bytes()[:-1] + b"!")
    with pytest.raises(PodFailure, match="is not as it was made") as caught:
        data.check(run)
    assert caught.value.reason == "InputInvalid"


@pytest.mark.parametrize("ranks", [1, 2, 3, 8])
def test_ranks_share_each_step_whatever_their_number(ranks: int, tmp_path: Path) -> None:
    run = _run(
        _dataset(tmp_path / "a", [list(range(400))], []),
        _dataset(tmp_path / "b", [list(range(500, 700))], []),
    )
    opened = data.open_datasets(run)
    whole = TrainingData(run, opened).read(range(240))
    readers = [TrainingData(run, opened) for _ in range(ranks)]
    share = 24 // ranks
    steps = [
        reader.read(range(first + rank * share, first + (rank + 1) * share))
        for first in range(0, 240, 24)
        for rank, reader in enumerate(readers)
    ]
    assert np.array_equal(np.concatenate(steps), whole)


def test_the_window_in_use_and_the_next_are_brought_from_a_bucket(
    tmp_path: Path, bucket: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shards, "PIECE_BYTES", 64)
    monkeypatch.setattr(data, "BLOCK_TOKENS", 2 * CONTEXT)
    tokens = WINDOW * 2 * CONTEXT * 5
    here = _dataset(tmp_path / "d", [[*range(tokens + 1)]], [[1] * 20], vocabulary=1 << 16)
    artifact = storage.publish(tmp_path / "d", storage.place_of(f"{bucket}/d"))
    source = here.model_copy(update={"uri": artifact.uri})
    run = _run(source, vocabulary=1 << 16)
    data.check(run)
    expected = TrainingData(run, data.open_datasets(_run(here, vocabulary=1 << 16)))
    reader = TrainingData(run, data.open_datasets(run))
    assert np.array_equal(reader.read(range(4)), expected.read(range(4)))
    pieces = reader._datasets[0].train._pieces
    assert isinstance(pieces, Brought)
    for thread in pieces._threads:
        thread.join(10)
    window = WINDOW * 2
    with monkeypatch.context() as patch:
        patch.setattr(s3, "read_range", None)  # nothing more need be brought
        patch.setattr(Brought, "bring", lambda *_: None)
        for first in range(4, 2 * window, 4):
            numbers = range(first, first + 4)
            assert np.array_equal(reader.read(numbers), expected.read(numbers))
    assert np.array_equal(reader.read(range(500)), expected.read(range(500)))
    assert np.array_equal(
        ValidationData(CONTEXT, reader._datasets).read([0, 1]), np.ones((2, CONTEXT + 1))
    )
