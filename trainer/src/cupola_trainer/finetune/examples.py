"""Prompts and answers as tokens, the answer marked: what TRL trains on."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from datasets import Dataset

from cupola_trainer.likelihood import Scored, answer
from cupola_trainer.pairs import Encoder


class Examples(NamedTuple):
    """The examples of a run, and how many were left out for their length."""

    kept: list[Scored]
    too_long: int


def encode(pairs: Iterable[tuple[str, str]], tokenizer: Encoder, max_length: int) -> Examples:
    """Encode (prompt, answer) pairs; those of more than `max_length` tokens are left out.

    An answer that was cut off would teach the model not to end its answers.
    """
    found = [answer(tokenizer, prompt, text) for prompt, text in pairs]
    kept = [example for example in found if len(example.ids) <= max_length]
    return Examples(kept, len(found) - len(kept))


def table(examples: list[Scored]) -> Dataset:
    """The examples as TRL takes them: `completion_mask` is 1 where the loss counts."""
    return Dataset.from_dict(
        {
            "input_ids": [list(example.ids) for example in examples],
            "completion_mask": [[0] * example.start + [1] * example.scored for example in examples],
        }
    )
