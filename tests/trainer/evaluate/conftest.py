from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from cupola_api.artifact import hash_file, seal
from cupola_api.run import Input
from cupola_trainer import generate
from cupola_trainer.evaluate.results import Subject
from cupola_trainer.pairs import CHAT_TEMPLATE
from cupola_trainer.shards import END_TOKEN, PAD_TOKEN, SPECIAL_TOKENS, write_shard
from cupola_trainer.storage import place_of

RUN = f"sha256:{'1' * 64}"


class Inputs(NamedTuple):
    model: Input
    other: Input
    pairs: Input
    text: Input


def pair(number: int) -> tuple[str, str]:
    return f"Return {number} more.", f"def add_{number}(x):\n    return x + {number}"


def make_tokenizer() -> PreTrainedTokenizerFast:
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
    return tokenizer


def make_model(seed: int) -> LlamaForCausalLM:
    torch.manual_seed(seed)
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


def sealed(folder: Path, kind: str, name: str, facts: dict[str, Any]) -> Input:
    artifact = seal(folder, kind=kind, run=RUN, facts=facts)
    return Input(kind=kind, name=name, uri=artifact.uri, digest=artifact.digest)


@pytest.fixture(scope="session")
def inputs(tmp_path_factory: pytest.TempPathFactory) -> Inputs:
    tokenizer = make_tokenizer()
    models_ = []
    for seed, name in enumerate(("model", "other")):
        folder = tmp_path_factory.mktemp(name)
        tokenizer.save_pretrained(folder)
        make_model(seed).save_pretrained(folder)
        digest = f"sha256:{hash_file(folder / 'tokenizer.json')}"
        facts = {"tokenizerDigest": digest, "vocabulary": 320}
        models_.append(sealed(folder, "PretrainJob", name, facts))
    pairs = tmp_path_factory.mktemp("pairs")
    (pairs / "pairs").mkdir()
    lines = [json.dumps(dict(zip(("input", "output"), pair(n), strict=True))) for n in range(9)]
    (pairs / "pairs" / "validation.jsonl").write_text("\n".join(lines) + "\n")
    text = tmp_path_factory.mktemp("text")
    documents = [
        [*tokenizer.encode(pair(n)[1], add_special_tokens=False), tokenizer.eos_token_id]
        for n in range(7)
    ]
    write_shard(text / "validation", 0, documents, 320)
    return Inputs(
        models_[0],
        models_[1],
        sealed(pairs, "Dataset", "pairs", facts),
        sealed(text, "Dataset", "text", facts),
    )


@pytest.fixture(scope="session")
def subject(inputs: Inputs) -> Subject:
    return Subject(*generate.load(place_of(inputs.model.uri)))


@pytest.fixture
def quiz(tmp_path: Path) -> Path:
    folder = tmp_path / "quiz"
    folder.mkdir()
    (folder / "quiz.yaml").write_text(
        """
task: quiz
dataset_path: json
dataset_kwargs: {data_files: {test: quiz.jsonl}}
test_split: test
fewshot_split: test
output_type: multiple_choice
doc_to_text: "{{question | regex_replace('x+', 'x')}}"
doc_to_choice: choices
doc_to_target: answer
metric_list:
  - {metric: acc, aggregation: mean, higher_is_better: true}
  - {metric: acc_norm, aggregation: mean, higher_is_better: true}
"""
    )
    questions = [
        {"question": f"What is {n}xx?", "choices": ["one", "two", "many"][: 2 + n % 2], "answer": 0}
        for n in range(10)
    ]
    (folder / "quiz.jsonl").write_text("".join(json.dumps(q) + "\n" for q in questions))
    return folder
