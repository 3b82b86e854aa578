from __future__ import annotations

from pathlib import Path

import pytest
from transformers import PreTrainedTokenizerFast
from trl.trainer.sft_config import SFTConfig
from trl.trainer.sft_trainer import SFTTrainer

from cupola_api.run import FineTuneRun
from cupola_trainer import generate
from cupola_trainer.finetune import examples, settings
from cupola_trainer.pairs import encode_answer, encode_prompt
from cupola_trainer.storage import place_of

PAIRS = [("Return 1 more.", "def add(x):\n    return x + 1"), ("Say no.", "def no(): return False")]


@pytest.fixture
def tokenizer(run: FineTuneRun) -> PreTrainedTokenizerFast:
    return generate.load(place_of(run.base.uri))[1]


def test_an_answer_is_marked_with_its_end_token(tokenizer: PreTrainedTokenizerFast) -> None:
    (row,) = examples.table(examples.encode(PAIRS[:1], tokenizer, 64).kept)
    prompt, answer = PAIRS[0]
    given, wanted = encode_prompt(tokenizer, prompt), encode_answer(tokenizer, answer)
    assert row["input_ids"] == given + wanted
    assert row["completion_mask"] == [0] * len(given) + [1] * len(wanted)
    assert row["input_ids"][-1] == tokenizer.eos_token_id


def test_long_examples_are_left_out_whole_and_counted(tokenizer: PreTrainedTokenizerFast) -> None:
    lengths = [len(example.ids) for example in examples.encode(PAIRS, tokenizer, 64).kept]
    assert lengths[0] != lengths[1]
    found = examples.encode(PAIRS, tokenizer, max(lengths) - 1)
    assert [len(example.ids) for example in found.kept] == [min(lengths)]
    assert found.too_long == 1
    assert examples.encode(PAIRS, tokenizer, max(lengths)).too_long == 0


def test_trl_counts_the_loss_of_answers_only(run: FineTuneRun, tmp_path: Path) -> None:
    model, tokenizer = generate.load(place_of(run.base.uri))
    kept = examples.encode(PAIRS, tokenizer, 64).kept
    trainer = SFTTrainer(
        model=model,
        args=SFTConfig(**settings.arguments(run, len(kept), tmp_path)),
        train_dataset=examples.table(kept),
        processing_class=tokenizer,
    )
    (batch,) = list(trainer.get_train_dataloader())
    rows = {tuple(example.ids): example for example in kept}
    for ids, labels, mask in zip(
        batch["input_ids"], batch["labels"], batch["attention_mask"], strict=True
    ):
        length = int(mask.sum())
        example = rows[tuple(ids[:length].tolist())]
        assert labels[: example.start].tolist() == [-100] * example.start
        assert labels[example.start : length].tolist() == list(example.ids[example.start :])
        assert labels[length:].tolist() == [-100] * (len(labels) - length)
