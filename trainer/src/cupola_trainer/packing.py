"""Attention within documents: of several documents in one sequence none sees another.

A document begins with the end token that closes the one before it, at position 0: what it is given
is what `likelihood.document` gives it alone.
"""

from __future__ import annotations

from typing import Any

import torch


def logits_of(model: Any, tokens: torch.Tensor, end_token: int | None) -> torch.Tensor:
    """The logits of a model for sequences, [batch, length, words].

    With an `end_token` attention stays within documents.
    """
    beside = {} if end_token is None else within_documents(tokens, end_token)
    found: torch.Tensor = model(input_ids=tokens, use_cache=False, **beside).logits
    return found


def within_documents(tokens: torch.Tensor, end_token: int) -> dict[str, torch.Tensor]:
    """What a model is given beside `tokens`, [batch, length]: `position_ids` and `attention_mask`.

    The mask is bool, [batch, 1, length, length]: it takes `length` squared bytes a sequence.
    """
    begins = tokens == end_token
    places = torch.arange(tokens.shape[1], device=tokens.device)
    # The greatest place at or before each at which a document begins; 0 in the first.
    first = torch.where(begins, places, 0).cummax(-1).values
    seen = (first[:, None, :] == first[:, :, None]) & (places[None, :] <= places[:, None])
    return {"position_ids": places - first, "attention_mask": seen[:, None]}
