"""Answers of a model that this pod computes: one of Cupola's, or one of the Hugging Face hub.

Weights come from safetensors only, and no code of a repository is run. Each answer is drawn with
random numbers of its own request, so that it does not depend on which others are written beside it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, cast

import torch
from transformers import (
    GenerationConfig,
    LogitsProcessor,
    LogitsProcessorList,
    PreTrainedModel,
    PreTrainedTokenizerFast,
    TopPLogitsWarper,
)
from transformers.utils import logging

from cupola_api.outcome import FailureClass
from cupola_api.run import GenerateRun
from cupola_trainer import generate, storage, timesheet
from cupola_trainer.curate.synthetic.answers import Answer
from cupola_trainer.curate.synthetic.asking import Keep
from cupola_trainer.curate.synthetic.budget import Budget
from cupola_trainer.curate.synthetic.requests import Request
from cupola_trainer.pairs import encode_prompt
from cupola_trainer.pod import PodFailure

_FILES = ("*.safetensors", "*.safetensors.index.json", "*.json", "*.jinja")
"""What is taken of a repository: weights, configuration, tokenizer."""


class Gumbel(LogitsProcessor):
    """Makes the likeliest token a random draw: noise is added, of one generator a row.

    The largest of logits and Gumbel noise is distributed as their softmax.
    """

    def __init__(self, seeds: Sequence[int]) -> None:
        self._generators = [torch.Generator().manual_seed(seed) for seed in seeds]

    def __call__(self, input_ids: torch.LongTensor, scores: torch.FloatTensor) -> Any:
        """The scores with noise, fp32."""
        del input_ids
        width = scores.shape[-1]
        noise = torch.stack([_noise(one, width) for one in self._generators])
        return scores.float() + noise.to(scores.device)


class Temperature(LogitsProcessor):
    """Divides the scores by a temperature above 0."""

    def __init__(self, temperature: float) -> None:
        self._temperature = temperature

    def __call__(self, input_ids: torch.LongTensor, scores: torch.FloatTensor) -> Any:
        """The scores of that temperature, fp32."""
        del input_ids
        return scores.float() / self._temperature


def write(run: GenerateRun, requests: Sequence[Request], budget: Budget, keep: Keep) -> bool:
    """Let the model answer requests; whether the budget allowed all of them.

    Raises PodFailure if there is no such model, OSError if storage does not answer.
    """
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    device = "cuda" if run.device == "Gpu" else "cpu"
    torch.set_num_threads(run.threads)
    model, tokenizer = _load(run, device)
    timesheet.works()
    waiting = iter(requests)
    allowed = True
    while allowed and (batch := [*islice(waiting, run.concurrency)]):
        wanted = len(batch)
        batch = [*_within(batch, budget)]
        allowed = len(batch) == wanted
        found = _answers(run, model, tokenizer, batch) if batch else []
        for answer in found:
            budget.settle(answer)
        keep(found)
    return allowed


def _within(batch: Sequence[Request], budget: Budget) -> Iterator[Request]:
    """The first requests of a batch, as far as the budget allows."""
    for one in batch:
        if not budget.hold(one):
            return
        yield one


def _load(run: GenerateRun, device: str) -> tuple[PreTrainedModel, PreTrainedTokenizerFast]:
    folder = _folder(run)
    try:
        return generate.load(folder, device=device)
    except (OSError, ValueError) as error:
        first = (str(error).splitlines() or [""])[0][:200]
        raise PodFailure(
            "ModelUnreadable",
            f"{run.writer} cannot write for the source {run.source}: {first}; name a model with "
            "weights in safetensors and a tokenizer.json",
            FailureClass.USER,
        ) from error


def _folder(run: GenerateRun) -> Path:
    """The model on this machine, of the hub or checked against its digest."""
    if run.model:
        return storage.open_input(run.model)
    from cupola_trainer.curate.synthetic.hub_model import fetch  # noqa: PLC0415  seldom needed

    return fetch(run.hugging_face or "", _FILES)


def _answers(
    run: GenerateRun,
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerFast,
    batch: Sequence[Request],
) -> list[Answer]:
    """An answer to each request, in order."""
    context = _context(model, tokenizer)
    room = min(run.max_tokens, context // 2)
    prompts = [_encode(tokenizer, one)[-(context - room) :] for one in batch]
    width = max(map(len, prompts))
    ends = _ends(model, tokenizer)
    pad = tokenizer.pad_token_id if tokenizer.pad_token_id is not None else (*ends, 0)[0]
    ids = torch.full((len(batch), width), pad, dtype=torch.long)
    mask = torch.zeros_like(ids)
    for row, prompt in enumerate(prompts):
        ids[row, width - len(prompt) :] = torch.tensor(prompt)
        mask[row, width - len(prompt) :] = 1
    limits = [min(run.max_tokens, context - len(prompt)) for prompt in prompts]
    if len(batch) > 1 and width + max(limits) > context:  # a short prompt beside a long one
        middle = len(batch) // 2
        halves = batch[:middle], batch[middle:]
        return [one for half in halves for one in _answers(run, model, tokenizer, half)]
    with torch.inference_mode():
        output = cast("Any", model).generate(
            input_ids=ids.to(model.device),
            attention_mask=mask.to(model.device),
            generation_config=GenerationConfig(
                max_new_tokens=max(limits),
                do_sample=False,
                eos_token_id=ends or None,
                pad_token_id=pad,
            ),
            logits_processor=_draw(run, [one.seed for one in batch]),
        )
    written = [output[row, width:].tolist()[:limit] for row, limit in enumerate(limits)]
    return [
        _answer(one, tokenizer, len(prompt), ids, ends)
        for one, prompt, ids in zip(batch, prompts, written, strict=True)
    ]


def _draw(run: GenerateRun, seeds: Sequence[int]) -> LogitsProcessorList:
    """How tokens are drawn; by likelihood alone at temperature 0."""
    if run.temperature == 0:
        return LogitsProcessorList()
    first = [Temperature(run.temperature)]
    nucleus = [TopPLogitsWarper(run.top_p)] if run.top_p < 1 else []
    return LogitsProcessorList([*first, *nucleus, Gumbel(seeds)])


def _noise(generator: torch.Generator, width: int) -> torch.Tensor:
    uniform = torch.rand(width, generator=generator, dtype=torch.float64)
    return -torch.log(-torch.log(uniform.clamp_min(1e-300))).float()


def _encode(tokenizer: PreTrainedTokenizerFast, one: Request) -> list[int]:
    """Token ids of what is said: in the form of the model's conversations, if it has one."""
    if not tokenizer.chat_template:
        said = f"{one.system}\n\n{one.text}" if one.system else one.text
        return encode_prompt(tokenizer, said)
    system = [{"role": "system", "content": one.system}] if one.system else []
    text = tokenizer.apply_chat_template(
        [*system, {"role": "user", "content": one.text}],
        tokenize=False,
        add_generation_prompt=True,
    )
    ids: list[int] = tokenizer.encode(str(text), add_special_tokens=False)
    return ids


def _context(model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast) -> int:
    """Tokens of prompt and answer together, at most; some models have no such limit of their own."""
    said = getattr(model.config.get_text_config(), "max_position_embeddings", None)
    return said if isinstance(said, int) else int(tokenizer.model_max_length)


def _ends(model: PreTrainedModel, tokenizer: PreTrainedTokenizerFast) -> list[int]:
    """The tokens that end an answer."""
    said = getattr(model.generation_config, "eos_token_id", None)
    known = said if isinstance(said, list) else [said]
    ends = [one for one in (*known, tokenizer.eos_token_id) if isinstance(one, int)]
    return list(dict.fromkeys(ends))


def _answer(
    one: Request,
    tokenizer: PreTrainedTokenizerFast,
    read: int,
    ids: list[int],
    ends: Sequence[int],
) -> Answer:
    end = next((i for i, token in enumerate(ids) if token in ends), None)
    text = tokenizer.decode(
        ids if end is None else ids[:end],
        skip_special_tokens=True,
        clean_up_tokenization_spaces=False,
    )
    return Answer(
        one.key,
        text=str(text).replace("\0", ""),
        truncated=end is None,
        input_tokens=read,
        output_tokens=len(ids) if end is None else end + 1,
    )
