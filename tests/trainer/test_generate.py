from __future__ import annotations

import shutil
from pathlib import Path

import pytest
import torch
from peft import LoraConfig, get_peft_model
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from cupola_trainer import generate
from cupola_trainer.pairs import encode_prompt
from cupola_trainer.shards import END_TOKEN, PAD_TOKEN, SPECIAL_TOKENS

PROMPTS = ["one", "a rather longer prompt of several words", "two words", "the end of it"]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A random model whose answers vary, with a byte-level tokenizer."""
    folder = tmp_path_factory.mktemp("model")
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.train_from_iterator(
        PROMPTS,
        trainers.BpeTrainer(
            vocab_size=300,
            special_tokens=list(SPECIAL_TOKENS),
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            show_progress=False,
        ),
    )
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, eos_token=END_TOKEN, pad_token=PAD_TOKEN
    ).save_pretrained(folder)
    torch.manual_seed(1)
    LlamaForCausalLM(
        LlamaConfig(
            vocab_size=300,
            hidden_size=32,
            intermediate_size=64,
            num_hidden_layers=2,
            num_attention_heads=4,
            max_position_embeddings=64,
            initializer_range=0.4,
            bos_token_id=None,
            eos_token_id=0,
            pad_token_id=1,
        )
    ).save_pretrained(folder)
    return folder


def test_answers_do_not_depend_on_the_batch(folder: Path) -> None:
    model, tokenizer = generate.load(folder)
    together = generate.answers(model, tokenizer, PROMPTS, max_new_tokens=12)
    alone = [
        generate.answers(model, tokenizer, [prompt], max_new_tokens=12)[0] for prompt in PROMPTS
    ]
    assert together == alone
    assert len({answer.text for answer in together}) == len(PROMPTS)


def test_an_answer_stops_at_the_end_token(folder: Path) -> None:
    model, tokenizer = generate.load(folder)
    prompt = encode_prompt(tokenizer, "one")
    third = [*prompt]
    for _ in range(3):
        third.append(int(model(torch.tensor([third])).logits[0, -1].argmax()))
    tokenizer.eos_token = tokenizer.convert_ids_to_tokens(third[-1])
    assert third.index(third[-1]) == len(prompt) + 2
    cut, ended = (generate.answers(model, tokenizer, ["one"], max_new_tokens=n)[0] for n in (2, 30))
    assert ended.ended
    assert not cut.ended
    assert ended.text == cut.text


def test_prompt_and_answer_stay_within_the_context(folder: Path) -> None:
    model, tokenizer = generate.load(folder)
    long = " ".join(PROMPTS * 20)
    first, second = generate.answers(model, tokenizer, [long, "one"], max_new_tokens=1000)
    alone = generate.answers(model, tokenizer, [long], max_new_tokens=1000)[0]
    assert first == alone
    assert first.text
    assert second.text


def test_the_command_prints_the_answer_alone(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model, tokenizer = generate.load(folder)
    answer = generate.answers(model, tokenizer, ["two words"], max_new_tokens=8)[0]
    assert generate.main(["--model", str(folder), "--max-new-tokens", "8", "two words"]) == 0
    assert capsys.readouterr().out == f"{answer.text}\n"


def test_sampling_repeats_with_its_seed(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ["--model", str(folder), "--temperature", "1", "--max-new-tokens", "8", "one"]
    texts = []
    for seed in ("1", "1", "2"):
        generate.main(["--seed", seed, *arguments])
        texts.append(capsys.readouterr().out)
    assert texts[0] == texts[1] != texts[2]


def test_a_folder_without_a_model_is_a_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert generate.main(["--model", str(tmp_path), "hello"]) == 2
    assert str(tmp_path) in capsys.readouterr().err


@pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing`:FutureWarning")  # PEFT
def test_an_adapter_is_loaded_with_its_base(folder: Path, tmp_path: Path) -> None:
    base, tokenizer = generate.load(folder)
    torch.manual_seed(3)
    tuned = get_peft_model(base, LoraConfig(r=4, init_lora_weights=False, task_type="CAUSAL_LM"))
    tuned.save_pretrained(tmp_path)
    shutil.copytree(folder, tmp_path / "base")
    tokenizer.save_pretrained(tmp_path)
    expected = tuned(torch.arange(10)[None]).logits
    model, _ = generate.load(tmp_path)
    logits = model(torch.arange(10)[None]).logits
    torch.testing.assert_close(logits, expected, rtol=1e-4, atol=1e-4)


def test_an_adapter_that_is_no_safetensors_is_refused(folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder, tmp_path / "base")
    (tmp_path / "adapter_config.json").write_text('{"peft_type": "LORA"}')
    (tmp_path / "adapter_model.bin").write_bytes(b"a pickle, say")
    with pytest.raises(OSError, match="has no adapter_model"):
        generate.load(tmp_path)
