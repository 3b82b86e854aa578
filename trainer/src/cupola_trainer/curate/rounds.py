"""The training shards of a Dataset whose sources are mixed, from those that hold each document once.

The stream is made of rounds. A round goes through all documents, in the order of the shuffle, and takes
those whose turn it is; in each shard that it writes they are shuffled once more, so that a document has
other neighbours in each round. Memory is bounded by a shard.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import NamedTuple, cast

import numpy as np
import numpy.typing as npt

from cupola_api.mixing import SourceMix
from cupola_api.outcome import FailureClass
from cupola_api.run import CurateRun
from cupola_trainer.curate import mixing
from cupola_trainer.curate.mixing import DRAWN, Piece
from cupola_trainer.pod import PodFailure
from cupola_trainer.shards import TokenArray, dtype_for, write_shard

SUFFIX = ".drawn"
"""Of the file beside a shard that says of each of its documents what is drawn by, and its source."""

_SHARD = 1 << 23
"""Tokens of a shard that is written, about."""


_MOST = 8


class Mixed(NamedTuple):
    """What the mixed training shards hold."""

    documents: int
    tokens: int
    sources: list[SourceMix]


def largest(sources: list[SourceMix]) -> list[SourceMix]:
    """Those with the largest shares, as many as a summary has room for; in their order."""
    first = sorted(range(len(sources)), key=lambda i: -max(sources[i].wanted, sources[i].reached))
    return [sources[i] for i in sorted(first[:_MOST])]


def write_drawn(
    folder: Path, index: int, high: npt.NDArray[np.uint64], sources: Sequence[int], seed: int
) -> None:
    """Write the file beside shard `index`; `high`, `sources`: of its documents."""
    drawn = np.empty(len(high), DRAWN)
    drawn["draw"], drawn["source"] = mixing.draws(high, seed), sources
    drawn.tofile(folder / f"{index:05d}{SUFFIX}")


def mix_shards(run: CurateRun, shards: Sequence[Path], target: Path, vocabulary: int) -> Mixed:
    """Write the training shards into the folder `target`.

    `shards`: the files of tokens that hold each document once, in order; not all empty.
    """
    target.mkdir()
    wish = run.mixing
    if wish is None:
        raise ValueError("the run mixes nothing")
    sizes = np.zeros(len(run.sources), np.int64)
    for path in shards:
        piece = _piece(path)
        np.add.at(sizes, piece.sources, piece.tokens)
    weights = [source.weight for source in run.sources if source.weight is not None]
    shares = mixing.shares(sizes.tolist(), weights or None, wish)
    given = mixing.targets(sizes.tolist(), shares, wish)
    copies = mixing.copies(sizes.tolist(), given, partial(map, _piece, shards))
    rounds = max(one.whole + (one.limit > 0) for one in copies)
    if not rounds:
        raise PodFailure(
            "MixtureEmpty",
            f"spec.mixing.tokens {wish.tokens} is less than half of a document; raise it",
            FailureClass.USER,
        )
    written = np.zeros(len(run.sources), np.int64)
    documents = number = 0
    for turn in range(rounds):
        for chosen in _gathered(shards, copies, turn, rounds, vocabulary):
            write_shard(target, number, chosen.texts, vocabulary)
            np.add.at(written, chosen.sources, [len(text) for text in chosen.texts])
            documents += len(chosen.texts)
            number += 1
    total = int(written.sum())
    return Mixed(
        documents,
        total,
        [
            SourceMix(
                name=source.name,
                wanted=round(float(shares[i]), 4),
                reached=round(written[i] / total, 4),
                passes=round(written[i] / sizes[i], 4) if sizes[i] else 0.0,
            )
            for i, source in enumerate(run.sources)
        ],
    )


class _Chosen(NamedTuple):
    """The documents of a shard to write."""

    texts: list[TokenArray]
    sources: npt.NDArray[np.int64]


def _gathered(
    shards: Sequence[Path],
    copies: Sequence[mixing.Copies],
    turn: int,
    rounds: int,
    vocabulary: int,
) -> Iterator[_Chosen]:
    """The documents of a round, in shards of about the same size."""
    held: list[tuple[Piece, list[TokenArray]]] = []
    size = 0
    for path in shards:
        piece = _piece(path)
        often = mixing.times(piece, copies)
        here = np.flatnonzero(mixing.in_round(turn, rounds, piece.draws, often))
        if not len(here):
            continue
        tokens = _tokens(path, vocabulary)
        ends = np.cumsum(piece.tokens)
        begins = ends - piece.tokens
        chosen = piece.only(here)
        held.append((chosen, [tokens[begins[i] : ends[i]].copy() for i in here]))
        size += int(chosen.tokens.sum())
        if size >= _SHARD:
            yield _shuffled(turn, held)
            held, size = [], 0
    if held:
        yield _shuffled(turn, held)


def _shuffled(turn: int, held: list[tuple[Piece, list[TokenArray]]]) -> _Chosen:
    draws = np.concatenate([piece.draws for piece, _ in held])
    sources = np.concatenate([piece.sources for piece, _ in held])
    texts = [text for _, some in held for text in some]
    order = mixing.order(turn, draws)
    return _Chosen([texts[i] for i in order], sources[order])


def _tokens(path: Path, vocabulary: int) -> TokenArray:
    """The tokens of a shard, mapped."""
    return cast("TokenArray", np.memmap(path, dtype_for(vocabulary), "r"))


def _piece(path: Path) -> Piece:
    """What is known of the documents of a shard."""
    drawn = np.fromfile(path.with_suffix(SUFFIX), DRAWN)
    ends = np.fromfile(path.with_suffix(".ends"), "<u8").astype(np.int64)
    return Piece(
        drawn["draw"].astype(np.uint64),
        drawn["source"].astype(np.int64),
        np.diff(ends, prepend=0),
    )
