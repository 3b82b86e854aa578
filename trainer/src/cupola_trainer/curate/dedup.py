"""Stage `dedup`, its second half: remove copies, draw the validation split, make the tokenizer.

`match` found the copies, range by range; here what stays is decided for all documents at once. It
goes through them block by block, so memory does not grow with them: what is known of each, a byte
for its state and four for its copies, lies in files below TMPDIR that are mapped (`states`). Of text
it sees what the tokenizer is trained on.
"""

from __future__ import annotations

import tempfile
from collections import Counter, defaultdict
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from cupola_api.artifact import canonical
from cupola_api.outcome import FailureClass
from cupola_api.run import CurateRun
from cupola_trainer.curate import (
    entries,
    given_tokenizer,
    keep,
    line_copies,
    listing,
    quarantine,
    rows,
    tokenizer,
    work,
)
from cupola_trainer.curate.batches import batches
from cupola_trainer.curate.census import Block, Census, lines_of
from cupola_trainer.curate.emptiness import empty
from cupola_trainer.curate.fields import check_pairs, check_text
from cupola_trainer.curate.identity import Draw
from cupola_trainer.curate.progress import Progress
from cupola_trainer.curate.samples import PER_RULE, Samples
from cupola_trainer.curate.states import EXACT, NEAR, SHORT
from cupola_trainer.curate.tally import Tally, merge
from cupola_trainer.curate.texts import Flags
from cupola_trainer.pod import PodFailure

_RULES = {EXACT: "exact-duplicate", NEAR: "near-duplicate", SHORT: line_copies.RULE}

_TOKENIZER_BYTES = 256 << 20
"""Text that a tokenizer is trained on, at most: the beginning of the shuffled order."""
_SHARD_BYTES = 64 << 20
"""Text of a shard, about."""
_BATCH = 1 << 20
_AT_ONCE = 8
"""Parts whose rows are checked at a time."""


def dedup(run: CurateRun, folder: Path) -> dict[str, Any]:
    """Do the stage into `folder`; returns the facts of its manifest.

    Raises PodFailure if a part is missing, a source has no such field or no document is left.
    """
    parts = work.require_parts(run, "clean", entries.PREFIX)
    tallies = [
        merge(Tally.from_json(part.facts["sources"][i]) for part in parts)
        for i in range(len(run.sources))
    ]
    for source, tally in zip(run.sources, tallies, strict=True):
        quarantine.check(run, source, tally)
        check_text(run, source, tally)
    check_pairs(run, merge(tallies))
    if len({part.facts.get("key") for part in parts}) > 1:
        raise PodFailure(
            "KeyChanged",
            "parts were cleaned with different keys of private data, as the Secret changed in "
            "mid-run; write a new spec.revision",
            FailureClass.USER,
        )
    with tempfile.TemporaryDirectory() as scratch:
        census = Census(run, [part.folder for part in parts], Path(scratch))
        sizes = census.remove_copies(folder)
        split = _Split(run.validation)
        shown = _Shown()
        for block in census.blocks():
            _count(block, tallies)
            shown.see(block)
            split.see(block)
        if not merge(tallies).kept:
            raise empty(run, merge(tallies))
        kept = size_of_all = 0
        training = _Beginning()
        for number, block in enumerate(census.blocks()):
            stays = block.entries.with_columns(
                bytes=pl.Series(block.bytes), held=pl.Series(split.held(block))
            ).filter(pl.Series(block.stay))
            keep.write(folder, number, stays, rows.slices(run.parts))
            kept += stays.height
            size_of_all += int(stays["bytes"].sum())
            training.add(stays.filter(~pl.col("held")))
    (folder / "samples.json").write_bytes(canonical(shown.samples(run).to_json()))
    size = _make_tokenizer(run, folder, training.documents())
    return {
        "sources": [tally.to_json() for tally in tallies],
        "documents": kept,
        "vocabulary": size,
        "tokenizer": tokenizer.digest(folder / "tokenizer"),
        "shardsOfPart": -(-max(size_of_all // run.parts, 1) // _SHARD_BYTES),
        "clusters": {str(size): count for size, count in sizes.items()},
    }


def _count(block: Block, tallies: list[Tally]) -> None:
    """Count what was dropped, and the lines that were taken out of what stays."""
    sources = block.entries["source"].to_numpy()

    def by_source(of: Flags, what: Any = None) -> list[int]:
        weights = None if what is None else what[of]
        counts = np.bincount(sources[of], weights, minlength=len(tallies))
        return [int(count) for count in counts]

    for state, rule in _RULES.items():
        for tally, count in zip(tallies, by_source(block.states == state), strict=True):
            tally.dropped += Counter({rule: count})
    size = block.entries["bytes"].to_numpy().astype(np.int64)
    lines = by_source(block.stay, block.lines)
    taken = by_source(block.stay, size - block.bytes)
    for tally, count, gone in zip(tallies, lines, taken, strict=True):
        if count:
            tally.lines[line_copies.LINE] += count
            tally.line_bytes[line_copies.LINE] += gone


class _Shown:
    """The first few documents that go for each reason, for a person to look at."""

    def __init__(self) -> None:
        self._first: dict[int, pl.DataFrame] = {}

    def see(self, block: Block) -> None:
        for state in _RULES:
            found = block.entries.filter(pl.Series(block.states == state))
            both = [self._first[state], found] if state in self._first else [found]
            self._first[state] = pl.concat(both).head(PER_RULE)

    def samples(self, run: CurateRun) -> Samples:
        samples = Samples()
        for state, rule in _RULES.items():
            for found in _rows_of(run, self._first[state]):
                for text in found["text"]:
                    samples.add(rule, text)
        return samples


class _Split:
    """Which documents are held out; of those with a pair some too, and some not."""

    def __init__(self, share: float) -> None:
        self._all = Draw(share)
        self._pairs = Draw(share)

    def see(self, block: Block) -> None:
        lots, pairs = block.entries["lot"].to_numpy(), block.entries["pair"].to_numpy()
        self._all.see(lots[block.stay])
        self._pairs.see(lots[block.stay & pairs])

    def held(self, block: Block) -> Flags:
        lots, pairs = block.entries["lot"].to_numpy(), block.entries["pair"].to_numpy()
        found: Flags = np.where(pairs, self._pairs.held(lots), self._all.held(lots))
        return found


class _Beginning:
    """Of documents in any order those that come first in the shuffled order, as much as is wanted."""

    def __init__(self) -> None:
        self._first: pl.DataFrame | None = None

    def add(self, documents: pl.DataFrame) -> None:
        both = [documents] if self._first is None else [self._first, documents]
        before = pl.col("bytes").cum_sum() - pl.col("bytes")
        found = pl.concat(both).sort("key", "part", "position")
        self._first = found.filter(before < _TOKENIZER_BYTES)

    def documents(self) -> pl.DataFrame:
        """In the order of the listing."""
        return pl.DataFrame() if self._first is None else self._first.sort("part", "position")


def _rows_of(run: CurateRun, wanted: pl.DataFrame) -> Iterator[pl.DataFrame]:
    """Part, position and text of `wanted`, in that order, piece by piece."""
    slices = rows.slices(run.parts)
    begins: defaultdict[int, list[str]] = defaultdict(list)
    numbers = wanted.select(
        "part", slice=pl.Series(rows.slices_of(wanted["key"].to_numpy(), slices))
    )
    for part, number in numbers.unique().iter_rows():
        begins[part].append(rows.prefix(number))
    with ThreadPoolExecutor(_AT_ONCE) as pool:
        made = pool.map(
            lambda part: work.require(
                work.stage_folder(run, "clean", part), run, *sorted(begins[part])
            ),
            begins,
        )
        folders = {part: one.folder for part, one in zip(begins, made, strict=True)}
    return rows.texts_at(folders, wanted)


def _make_tokenizer(run: CurateRun, done: Path, training: pl.DataFrame) -> int:
    """Train or copy the tokenizer into the folder `done`; returns the size of its vocabulary."""
    folder = done / "tokenizer"
    if run.tokenizer is not None:
        tokenizer.copy(run.tokenizer, folder)
        return tokenizer.size(tokenizer.load(folder))
    if run.tokenizer_file is not None:
        files = listing.load(run).files_of_reference(run.tokenizer_file.name)
        given_tokenizer.take(run.tokenizer_file, files, folder)
        return tokenizer.size(tokenizer.load(folder))
    found = _rows_of(run, training)
    if lines := lines_of(run):
        found = (
            line_copies.taken(done, range(rows.slices(run.parts)), one, lines.unit) for one in found
        )
    trained = tokenizer.train(
        _counted(_batched(one["text"].to_list() for one in found)),
        run.vocab_size or 32_000,
        run.algorithm,
    )
    tokenizer.save(trained, folder)
    return tokenizer.size(trained)


def _counted(batches: Iterator[list[str]]) -> Iterator[list[str]]:
    progress = Progress("dedup: tokenizer")
    for texts in batches:
        yield texts
        progress.add(len(texts), sum(map(len, texts)))


def _batched(pieces: Iterator[list[str]]) -> Iterator[list[str]]:
    """The same texts in lists of about a mebibyte."""
    for texts in pieces:
        yield from batches(texts, _BATCH, len)
