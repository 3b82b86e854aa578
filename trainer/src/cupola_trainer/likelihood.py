"""How likely a model finds tokens: the negative log-likelihood of sequences, in nats.

Each sequence is scored whole. One that is longer than the model's context is scored in windows
that do not overlap in what they score, so that every token counts once.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import NamedTuple

import torch
from transformers import PreTrainedModel

from cupola_trainer.pairs import Encoder, encode_answer, encode_prompt

LOGITS = 1 << 25
"""Logits of a batch at most: 128 MiB in fp32."""


class Scored(NamedTuple):
    """Tokens, of which those from position `start` on are scored, each given all before it."""

    ids: Sequence[int]
    start: int

    @property
    def scored(self) -> int:
        """Tokens that are scored."""
        return len(self.ids) - self.start


class Window(NamedTuple):
    """A part of a sequence: tokens [first, end) are seen, those of [scored, end) are scored."""

    sequence: int
    first: int
    scored: int
    end: int


def document(ids: Sequence[int], end_token: int) -> Scored:
    """A document as training sees it: after the end token that closes the one before."""
    return Scored([end_token, *ids], 1)


def answer(tokenizer: Encoder, prompt: str, text: str) -> Scored:
    """An answer, its end token included, given its prompt."""
    given = encode_prompt(tokenizer, prompt)
    return Scored([*given, *encode_answer(tokenizer, text)], len(given))


def unigram_entropy(sequences: Sequence[Scored]) -> float:
    """Entropy of the scored tokens under their own frequencies, nats a token.

    What a model that knows nothing but how often each token occurs would reach.
    """
    frequencies: Counter[int] = Counter()
    for sequence in sequences:
        frequencies.update(sequence.ids[sequence.start :])
    total = frequencies.total()
    return -sum(f / total * math.log(f / total) for f in frequencies.values())


def windows(sequence: int, length: int, start: int, context: int) -> Iterator[Window]:
    """The windows that score tokens [start, length) with a model that reads `context` tokens.

    The last token of a window is predicted, not read: a window spans `context + 1` tokens at most.
    The first window shows all that comes before `start`, or its end if that alone would fill half
    of the context and there is more to score than fits; later windows show one token.
    """
    fits = length <= context + 1
    first = 0 if fits else max(0, start - max(1, context // 2))
    scored = start
    while scored < length:
        end = min(length, first + context + 1)
        yield Window(sequence, first, scored, end)
        first, scored = end - 1, end


def batches(pieces: list[Window], vocabulary: int) -> Iterator[list[Window]]:
    """Windows of like length together, the longest first, within the limit of LOGITS a batch."""
    pieces = sorted(pieces, key=lambda w: (w.first - w.end, w.sequence, w.first))
    start = 0
    while start < len(pieces):
        width = pieces[start].end - pieces[start].first - 1
        rows = max(1, LOGITS // (width * vocabulary))
        yield pieces[start : start + rows]
        start += rows


@torch.inference_mode()
def losses(
    model: PreTrainedModel,
    sequences: Sequence[Scored],
    report: Callable[[float], None] = lambda _: None,
) -> list[float]:
    """The negative log-likelihood of each sequence's scored tokens, summed, in nats.

    `report` is called with the share of the windows that is done.
    """
    context: int = model.config.max_position_embeddings
    pieces = [
        window
        for index, sequence in enumerate(sequences)
        for window in windows(index, len(sequence.ids), sequence.start, context)
    ]
    sums = [0.0] * len(sequences)
    done = 0
    for batch in batches(pieces, model.config.vocab_size):
        for window, loss in zip(batch, _batch_losses(model, sequences, batch), strict=True):
            sums[window.sequence] += loss
        done += len(batch)
        report(done / len(pieces))
    return sums


def _batch_losses(
    model: PreTrainedModel, sequences: Sequence[Scored], batch: list[Window]
) -> list[float]:
    width = max(window.end - window.first - 1 for window in batch)
    # Padding stands on the right, where causal attention never looks back from: any id will do.
    ids = torch.zeros((len(batch), width), dtype=torch.long)
    targets = torch.full_like(ids, -100)
    for row, window in enumerate(batch):
        tokens = torch.tensor(sequences[window.sequence].ids[window.first : window.end])
        ids[row, : len(tokens) - 1] = tokens[:-1]
        offset = window.scored - window.first
        targets[row, offset - 1 : len(tokens) - 1] = tokens[offset:]
    logits = model(input_ids=ids.to(model.device), use_cache=False).logits
    targets = targets.to(model.device)
    # Row by row: a CPU is several times as fast on logits that fit its cache.
    return [
        float(
            torch.nn.functional.cross_entropy(row.float(), target, reduction="none").double().sum()
        )
        for row, target in zip(logits, targets, strict=True)
    ]
