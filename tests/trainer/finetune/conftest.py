from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from cupola_api.artifact import hash_file, seal
from cupola_api.finetune import FullTuning, Tuning
from cupola_api.run import FineTuneRun, Hyperparameters, Input, World
from cupola_api.training import Optimizer, Precision
from cupola_trainer.pairs import CHAT_TEMPLATE
from cupola_trainer.shards import END_TOKEN, PAD_TOKEN, SPECIAL_TOKENS

RUN = f"sha256:{'1' * 64}"


def pair(number: int) -> tuple[str, str]:
    return f"Return {number} more.", f"def add_{number}(x):\n    return x + {number}"


def make_tokenizer(folder: Path) -> PreTrainedTokenizerFast:
    words = Tokenizer(models.BPE())
    words.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    words.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=320,
        special_tokens=list(SPECIAL_TOKENS),
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    words.train_from_iterator([" ".join(pair(n)) for n in range(50)], trainer)
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=words, eos_token=END_TOKEN, pad_token=PAD_TOKEN
    )
    tokenizer.chat_template = CHAT_TEMPLATE
    tokenizer.save_pretrained(folder)
    return tokenizer


def make_model() -> LlamaForCausalLM:
    torch.manual_seed(0)
    return LlamaForCausalLM(
        LlamaConfig(
            vocab_size=320,
            hidden_size=32,
            intermediate_size=64,
            num_hidden_layers=2,
            num_attention_heads=4,
            num_key_value_heads=2,
            max_position_embeddings=64,
            tie_word_embeddings=True,
            bos_token_id=None,
            eos_token_id=0,
        )
    )


class Inputs(NamedTuple):
    base: Input
    dataset: Input


def sealed(folder: Path, kind: str, name: str, facts: dict[str, Any]) -> Input:
    artifact = seal(folder, kind="Model" if kind != "Dataset" else kind, run=RUN, facts=facts)
    return Input(kind=kind, name=name, uri=artifact.uri, digest=artifact.digest)


@pytest.fixture(scope="session")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> Inputs:
    base = tmp_path_factory.mktemp("base")
    make_tokenizer(base)
    make_model().save_pretrained(base)
    facts = {"tokenizerDigest": f"sha256:{hash_file(base / 'tokenizer.json')}", "vocabulary": 320}
    dataset = tmp_path_factory.mktemp("dataset")
    (dataset / "pairs").mkdir()
    for split, numbers in (("train", range(40)), ("validation", range(40, 50))):
        lines = [json.dumps(dict(zip(("input", "output"), pair(n), strict=True))) for n in numbers]
        (dataset / "pairs" / f"{split}.jsonl").write_text("\n".join(lines) + "\n")
    return Inputs(
        sealed(base, "PretrainJob", "base", facts), sealed(dataset, "Dataset", "pairs", facts)
    )


@pytest.fixture(scope="session")
def run_of(inputs: Inputs) -> Callable[[Path], FineTuneRun]:
    """`run_of(folder)`: a small run with its output below a folder."""
    return lambda folder: _run(inputs, folder)


@pytest.fixture
def run(inputs: Inputs, tmp_path: Path) -> FineTuneRun:
    return _run(inputs, tmp_path)


def _run(inputs: Inputs, folder: Path) -> FineTuneRun:
    return FineTuneRun(
        namespace="default",
        name="tuned",
        output=(folder / "out").as_uri(),
        base=inputs.base,
        dataset=inputs.dataset,
        tuning=Tuning(full=FullTuning()),
        epochs=3,
        examples_per_step=8,
        micro_batch=4,
        max_length=64,
        warmup_ratio=0.1,
        hyperparameters=Hyperparameters(
            optimizer=Optimizer(),
            learning_rate=1e-2,
            warmup_steps=0,
            final_ratio=0.1,
            weight_decay=0.0,
            gradient_clipping=1.0,
            precision=Precision.FP32,
            seed=0,
        ),
        world=World(nodes=1, gpus_per_node=1, threads=1, device="Cpu"),
        zero_stage=1,
        activation_checkpointing=False,
        checkpoint_seconds=3600,
        checkpoint_keep=3,
    )
