"""Fragments: stretches of flattened parameters, as a rank of any layout holds them."""

from __future__ import annotations

from typing import NamedTuple

import torch

QUANTITIES = ("weight", "exp_avg", "exp_avg_sq")
"""Of each parameter: the fp32 master weight and AdamW's first and second moment."""


class Fragment(NamedTuple):
    """A stretch of a parameter with its moments; the tensors are views of the live training."""

    name: str
    """The parameter's Hugging Face name."""
    start: int
    """Where the stretch begins in the flattened parameter."""
    values: dict[str, torch.Tensor]
    """The three `QUANTITIES`, flat fp32 tensors of one length."""


class Piece(NamedTuple):
    """A part of a stored fragment that serves a request."""

    at: int
    """The fragment's start."""
    begin: int
    """From where in the fragment ..."""
    end: int
    """... to where."""


def key(quantity: str, name: str, start: int) -> str:
    """The name of a stored fragment."""
    return f"{quantity}/{name}@{start}"


def parse_key(text: str) -> tuple[str, str, int]:
    """Quantity, name and start of a stored fragment. Raises ValueError."""
    quantity, _, rest = text.partition("/")
    name, _, start = rest.rpartition("@")
    if quantity not in QUANTITIES or not name:
        raise ValueError(f"{text!r} is not the name of a fragment")
    return quantity, name, int(start)


def pieces(stored: list[tuple[int, int]], start: int, length: int) -> list[Piece] | None:
    """What of the stored `(start, length)` stretches makes up a requested one, in order.

    None if they do not cover it. Stored stretches may overlap: all ranks of a layout that does not
    shard hold the same.
    """
    found = []
    position, end = start, start + length
    for at, size in sorted(stored):
        if at <= position < min(at + size, end):
            stop = min(at + size, end)
            found.append(Piece(at, position - at, stop - at))
            position = stop
    return found if position == end else None
