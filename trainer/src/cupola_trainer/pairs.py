r"""Prompt and answer as tokens: one form for tuning, measuring and generating.

A prompt is its text and an empty line; the answer follows and is closed by the end token. Prompt
and answer are encoded apart, so that no token spans both. The same form is in the tokenizer's chat
template, so that any Hugging Face user of the model gets it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Protocol

CHAT_TEMPLATE = (
    "{% for message in messages %}{{ message['content'] }}"
    "{% if message['role'] == 'assistant' %}{{ eos_token }}{% else %}{{ '\n\n' }}{% endif %}"
    "{% endfor %}"
)


class Encoder(Protocol):
    """The part of a Hugging Face tokenizer that is used here."""

    eos_token_id: int

    def encode(self, text: str, *, add_special_tokens: bool) -> list[int]:
        """Token ids of a text."""


def encode_prompt(tokenizer: Encoder, prompt: str) -> list[int]:
    """Token ids of a prompt, up to where the answer begins."""
    return tokenizer.encode(f"{prompt}\n\n", add_special_tokens=False)


def encode_answer(tokenizer: Encoder, answer: str) -> list[int]:
    """Token ids of an answer, closed by the end token."""
    return [*tokenizer.encode(answer, add_special_tokens=False), tokenizer.eos_token_id]


def read_pairs(artifact: Path, split: str) -> Iterator[tuple[str, str]]:
    """The (prompt, answer) pairs of a split, `train` or `validation`, of a Dataset's artifact."""
    with (artifact / "pairs" / f"{split}.jsonl").open(encoding="utf-8") as lines:
        for line in lines:
            pair = json.loads(line)
            yield pair["input"], pair["output"]
