"""Answers of a model: `python -m cupola_trainer.generate --model FOLDER_OR_URI PROMPT`.

Weights come from safetensors only and code from this package and its libraries only, whatever the
folder holds.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any, NamedTuple, cast

import torch
from transformers import (
    AutoModelForCausalLM,
    GenerationConfig,
    PreTrainedModel,
    PreTrainedTokenizerFast,
    TextStreamer,
)
from transformers.utils import logging

from cupola_api.artifact import ArtifactInvalid
from cupola_trainer import storage
from cupola_trainer.failures import StoreError
from cupola_trainer.pairs import encode_prompt
from cupola_trainer.pod import PodFailure

ADAPTER = "adapter_config.json"
"""A folder with this file holds a LoRA adapter, and the plain model that it changes in `base/`."""


class Answer(NamedTuple):
    """What a model answered."""

    text: str
    ended: bool
    """Whether the model closed the answer itself; otherwise it was cut off."""


def load(folder: Path, *, device: str = "cpu") -> tuple[PreTrainedModel, PreTrainedTokenizerFast]:
    """The model and the tokenizer of a folder, ready to measure: fp32 on a CPU, merged adapter.

    On a GPU the weights keep the precision that they are stored in. Raises OSError or ValueError
    if the folder holds no model.
    """
    adapter = (folder / ADAPTER).exists()
    model: PreTrainedModel = AutoModelForCausalLM.from_pretrained(
        folder / "base" if adapter else folder,
        dtype=torch.float32 if device == "cpu" else "auto",
        use_safetensors=True,
        local_files_only=True,
        trust_remote_code=False,
    )
    if adapter:
        from peft import PeftModel  # noqa: PLC0415  seconds to import, and seldom needed

        if not (folder / "adapter_model.safetensors").is_file():
            raise OSError(f"{folder} has no adapter_model.safetensors")
        model = PeftModel.from_pretrained(
            model, str(folder), use_safetensors=True, local_files_only=True
        ).merge_and_unload()
    tokenizer = PreTrainedTokenizerFast.from_pretrained(folder, local_files_only=True)
    torch.nn.Module.to(model, device)
    model.eval()
    return model, tokenizer


def answers(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerFast,
    prompts: list[str],
    *,
    max_new_tokens: int,
    batch_size: int = 32,
) -> list[Answer]:
    """The greedy answer to each prompt, in order.

    An answer ends with the end token, after `max_new_tokens` or where the model's context is full.
    Batches hold prompts of like length, padded on the left; in fp32 their composition does not
    change an answer.
    """
    encoded = [_fit(encode_prompt(tokenizer, p), model, max_new_tokens) for p in prompts]
    order = sorted(range(len(prompts)), key=lambda i: len(encoded[i]))
    found: list[Answer] = [Answer("", ended=False)] * len(prompts)
    for start in range(0, len(order), batch_size):
        batch = order[start : start + batch_size]
        width = max(len(encoded[i]) for i in batch)
        ids = torch.full((len(batch), width), _pad(tokenizer), dtype=torch.long)
        mask = torch.zeros_like(ids)
        for row, i in enumerate(batch):
            ids[row, width - len(encoded[i]) :] = torch.tensor(encoded[i])
            mask[row, width - len(encoded[i]) :] = 1
        limits = [_room(encoded[i], model, max_new_tokens) for i in batch]
        with torch.inference_mode():
            output = cast("Any", model).generate(
                input_ids=ids.to(model.device),
                attention_mask=mask.to(model.device),
                generation_config=_greedy(tokenizer, max(limits)),
            )
        for row, i in enumerate(batch):
            found[i] = _answer(output[row, width:].tolist()[: limits[row]], tokenizer)
    return found


def stream(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerFast,
    prompt: str,
    *,
    max_new_tokens: int,
    temperature: float,
    seed: int,
) -> None:
    """Print the answer to a prompt as it comes: greedy at temperature 0, else sampled."""
    encoded = _fit(encode_prompt(tokenizer, prompt), model, max_new_tokens)
    config = _greedy(tokenizer, _room(encoded, model, max_new_tokens))
    if temperature > 0:
        config.update(do_sample=True, temperature=temperature, top_k=0)
        torch.manual_seed(seed)
    ids = torch.tensor([encoded], device=model.device)
    with torch.inference_mode():
        cast("Any", model).generate(
            input_ids=ids,
            attention_mask=torch.ones_like(ids),
            generation_config=config,
            streamer=TextStreamer(tokenizer, skip_prompt=True, skip_special_tokens=True),
        )


def _pad(tokenizer: PreTrainedTokenizerFast) -> int:
    pad: int | None = tokenizer.pad_token_id
    return tokenizer.eos_token_id if pad is None else pad


def _greedy(tokenizer: PreTrainedTokenizerFast, limit: int) -> GenerationConfig:
    return GenerationConfig(
        max_new_tokens=limit,
        do_sample=False,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=_pad(tokenizer),
    )


def _fit(prompt: list[int], model: PreTrainedModel, max_new_tokens: int) -> list[int]:
    """The end of a prompt that leaves room for an answer: at least half of the context stays."""
    context: int = model.config.max_position_embeddings
    return prompt[-(context - min(max_new_tokens, context // 2)) :]


def _room(prompt: list[int], model: PreTrainedModel, max_new_tokens: int) -> int:
    context: int = model.config.max_position_embeddings
    return min(max_new_tokens, context - len(prompt))


def _answer(ids: list[int], tokenizer: PreTrainedTokenizerFast) -> Answer:
    ended = tokenizer.eos_token_id in ids
    if ended:
        ids = ids[: ids.index(tokenizer.eos_token_id)]
    text = tokenizer.decode(ids, skip_special_tokens=True, clean_up_tokenization_spaces=False)
    return Answer(str(text), ended)


def _folder(model: str) -> Path:
    """The folder of a model, by path or by URI. Raises PodFailure, ArtifactInvalid or OSError."""
    if "://" not in model:
        return Path(model)
    place = storage.place_of(model)
    return place if isinstance(place, Path) else storage.fetch(place)


def main(arguments: list[str] | None = None) -> int:
    """Print a model's answer to a prompt; returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m cupola_trainer.generate", description="Answer a prompt with a model."
    )
    parser.add_argument(
        "--model",
        required=True,
        help="a Model artifact: a folder, or its URI; from S3 it is copied",
    )
    parser.add_argument("--max-new-tokens", type=int, default=256, help="longest answer")
    parser.add_argument("--temperature", type=float, default=0.0, help="0 = greedy")
    parser.add_argument("--seed", type=int, default=0, help="of sampling")
    parser.add_argument("prompt", help="the prompt")
    options = parser.parse_args(arguments)
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        model, tokenizer = load(_folder(options.model))
    except (PodFailure, ArtifactInvalid, StoreError) as error:
        print(error.failure if isinstance(error, StoreError) else error, file=sys.stderr)
        return 2
    except (OSError, ValueError) as error:
        first = str(error).splitlines()[0]
        print(f"{options.model} holds no model that can be loaded: {first}", file=sys.stderr)
        return 2
    stream(
        model,
        tokenizer,
        options.prompt,
        max_new_tokens=options.max_new_tokens,
        temperature=options.temperature,
        seed=options.seed,
    )
    return 0


if __name__ == "__main__":
    sys.exit(main())
