"""A tiny Dataset, and whole runs of a tiny model by one rank in this process."""

from __future__ import annotations

import argparse
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import PreTrainedTokenizerFast

from cupola_api.artifact import seal
from cupola_api.outcome import Outcome
from cupola_api.run import ATTEMPT, ORDER, Hyperparameters, PretrainRun, Shape, WeightedInput, World
from cupola_api.training import Optimizer, Precision
from cupola_trainer.pretrain import main
from cupola_trainer.shards import END_TOKEN, PAD_TOKEN, SPECIAL_TOKENS, write_index, write_shard

VOCABULARY = 300
CONTEXT = 32


@pytest.fixture(scope="session")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> WeightedInput:
    """A Dataset of made-up words that a tiny model can learn a little of."""
    folder = tmp_path_factory.mktemp("dataset")
    chance = random.Random(0)
    words = ["".join(chance.choices("abcdefg", k=chance.randint(2, 6))) for _ in range(40)]
    texts = [" ".join(chance.choices(words, range(40), k=60)) for _ in range(60)]
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.train_from_iterator(
        texts,
        trainers.BpeTrainer(
            vocab_size=VOCABULARY,
            special_tokens=list(SPECIAL_TOKENS),
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            show_progress=False,
        ),
    )
    documents = [[*tokenizer.encode(text).ids, 0] for text in texts]
    write_shard(folder / "train", 0, documents[10:], VOCABULARY)
    write_shard(folder / "validation", 0, documents[:10], VOCABULARY)
    for split in ("train", "validation"):
        write_index(folder / split, VOCABULARY)
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, eos_token=END_TOKEN, pad_token=PAD_TOKEN
    ).save_pretrained(folder / "tokenizer")
    facts = {"vocabulary": VOCABULARY, "tokenizerDigest": "sha256:" + "a" * 64}
    artifact = seal(folder, kind="Dataset", run="sha256:" + "0" * 64, facts=facts)
    return WeightedInput(
        kind="Dataset", name="words", uri=artifact.uri, digest=artifact.digest, weight=1.0
    )


def _run(output: Path, dataset: WeightedInput, **changes: Any) -> PretrainRun:
    hyperparameters = Hyperparameters(
        optimizer=Optimizer(),
        learning_rate=changes.pop("learning_rate", 1e-2),
        warmup_steps=2,
        final_ratio=0.1,
        weight_decay=0.1,
        gradient_clipping=1.0,
        precision=changes.pop("precision", Precision.BF16),
        seed=0,
    )
    run = PretrainRun(
        namespace="default",
        name="tiny",
        output=output.as_uri(),
        datasets=[dataset],
        shape=Shape(
            layers=2,
            hidden=32,
            heads=4,
            kv_heads=2,
            ffn=64,
            vocabulary=VOCABULARY,
            context=CONTEXT,
            tie_embeddings=True,
        ),
        order=ORDER,
        steps=12,
        sequences_per_step=8,
        micro_batch=4,
        hyperparameters=hyperparameters,
        world=World(nodes=1, gpus_per_node=1, threads=1, device="Cpu"),
        zero_stage=1,
        activation_checkpointing=False,
        checkpoint_seconds=1000,
        checkpoint_keep=2,
    )
    return run.model_copy(update=changes)


@pytest.fixture
def tiny(dataset: WeightedInput, tmp_path: Path) -> Callable[..., PretrainRun]:
    """`tiny(name="run", **changes)`: a run of 12 steps with its output in a folder of its own."""
    return lambda name="run", **changes: _run(tmp_path / name, dataset, **changes)


@pytest.fixture
def train(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Outcome]:
    """`train(run, attempt="a1")`: do the work of an attempt."""

    def work(run: PretrainRun, attempt: str = "a1") -> Outcome:
        monkeypatch.setenv(ATTEMPT, attempt)
        return main(run, argparse.Namespace())

    return work
