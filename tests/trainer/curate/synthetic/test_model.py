"""A model that the pod computes writes."""

from __future__ import annotations

import shutil
from argparse import Namespace
from pathlib import Path
from typing import Any

import pytest
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

from cupola_api.artifact import digest_of, seal
from cupola_api.outcome import FailureClass
from cupola_trainer import curate
from cupola_trainer.curate.synthetic import model as writer
from cupola_trainer.curate.synthetic.requests import Request
from cupola_trainer.pod import PodFailure

from .test_generate import written

COMMIT = "0123456789abcdef" * 2 + "01234567"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A small model that knows nothing, in the form of the Hugging Face hub."""
    made = tmp_path_factory.mktemp("model")
    words = Tokenizer(models.BPE())
    words.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    words.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=260, special_tokens=["<end>"], initial_alphabet=alphabet, show_progress=False
    )
    words.train_from_iterator(["a page that speaks"], trainer)
    PreTrainedTokenizerFast(tokenizer_object=words, eos_token="<end>").save_pretrained(made)
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=260,
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        max_position_embeddings=128,
        bos_token_id=None,
        eos_token_id=0,
    )
    LlamaForCausalLM(config).save_pretrained(made)
    return made


@pytest.fixture
def run(make: Any, folder: Path, tmp_path: Path) -> Any:
    """A run of that model as one of Cupola's."""
    place = tmp_path / "artifact"
    shutil.copytree(folder, place)
    artifact = seal(place, kind="Model", run=digest_of("run"), facts={})
    model = {"kind": "FineTune", "name": "small", "uri": artifact.uri, "digest": artifact.digest}
    base = {"endpoint": None, "model": model, "max_tokens": 12, "documents": 6}

    def made(**fields: Any) -> Any:
        return make(**base | fields)

    return made


def generate(run: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("JOB_COMPLETION_INDEX", "0")
    return curate.main(run, Namespace(stage="generate")).synthetic


def test_what_a_model_writes_depends_on_no_other_request(
    run: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    found = generate(run(concurrency=1), monkeypatch)
    assert found.model == "FineTune small"
    assert found.requests == found.made + found.empty == 6
    assert 6 <= found.output_tokens <= 72
    assert found.input_tokens > 6 * 20
    other = run(concurrency=4, output=(tmp_path / "other").as_uri())
    assert written(generate(other, monkeypatch)) == written(found)
    assert len({line["text"] for line in written(found)}) == found.made, "each with its own seed"
    greedy = run(temperature=0, concurrency=3)
    assert written(generate(greedy, monkeypatch)) != written(found)


def test_a_budget_of_tokens_ends_it(run: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    found = generate(run(budget_tokens=400, concurrency=2), monkeypatch)
    assert found.budget_used_up
    assert 0 < found.requests < 6
    assert found.input_tokens + found.output_tokens <= 400


def test_a_model_of_the_hub_comes_from_the_cache(
    run: Any, monkeypatch: pytest.MonkeyPatch, folder: Path, tmp_path: Path
) -> None:
    cache = tmp_path / "hub"
    snapshot = cache / "models--some--model" / "snapshots" / COMMIT
    shutil.copytree(folder, snapshot)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(cache))
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    uri = f"hf://some/model@{COMMIT}"
    found = generate(run(model=None, hugging_face=uri), monkeypatch)
    assert (found.model, found.requests) == (uri, 6)
    missing = f"hf://some/other@{COMMIT}"
    with pytest.raises(PodFailure, match="the hub does not give") as failed:
        generate(run(model=None, hugging_face=missing), monkeypatch)
    assert failed.value.failure is FailureClass.INFRASTRUCTURE


def test_a_model_without_safe_weights_is_refused(
    run: Any, monkeypatch: pytest.MonkeyPatch, folder: Path, tmp_path: Path
) -> None:
    place = tmp_path / "pickled"
    shutil.copytree(folder, place)
    (place / "model.safetensors").rename(place / "pytorch_model.bin")
    artifact = seal(place, kind="Model", run=digest_of("run"), facts={})
    model = {"kind": "FineTune", "name": "odd", "uri": artifact.uri, "digest": artifact.digest}
    with pytest.raises(PodFailure, match="weights in safetensors") as failed:
        generate(run(model=model), monkeypatch)
    assert failed.value.failure is FailureClass.USER


def test_tokens_are_drawn_as_their_likelihood_says() -> None:
    scores = torch.log(torch.tensor([[0.6, 0.3, 0.1]])).expand(4000, 3)
    draw = writer.Gumbel(range(4000))
    counts = torch.bincount(draw(torch.empty(0), scores).argmax(-1), minlength=3) / 4000
    assert torch.allclose(counts, torch.tensor([0.6, 0.3, 0.1]), atol=0.03)
    cold = writer.Temperature(0.5)(torch.empty(0), scores)
    assert torch.allclose(cold.softmax(-1)[0], torch.tensor([36, 9, 1]) / 46)


def test_the_form_of_a_conversation_is_that_of_the_model(folder: Path) -> None:
    tokenizer = PreTrainedTokenizerFast.from_pretrained(folder)
    one = Request("k", "p", "You teach.", "Ask about this.", "d", 1)
    plain = tokenizer.decode(writer._encode(tokenizer, one))
    assert plain == "You teach.\n\nAsk about this.\n\n"
    tokenizer.chat_template = (
        "{% for m in messages %}[{{ m.role }}]{{ m.content }}{% endfor %}"
        "{% if add_generation_prompt %}[assistant]{% endif %}"
    )
    chat = tokenizer.decode(writer._encode(tokenizer, one))
    assert chat == "[system]You teach.[user]Ask about this.[assistant]"
