"""Stage `dedup`: over all parts, remove copies, draw the validation split, make the tokenizer.

The one stage that sees every document, so it holds numbers, not text: some 50 bytes a document, and
the shingles of those that may have copies still to come.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl

from cupola_api.artifact import canonical
from cupola_api.outcome import FailureClass
from cupola_api.run import CurateRun
from cupola_trainer.curate import rows, tokenizer, work
from cupola_trainer.curate.duplicates import find_candidates, first_of_each, near_copies
from cupola_trainer.curate.fields import check_pairs, check_text
from cupola_trainer.curate.identity import held_out
from cupola_trainer.curate.minhash import near_banding, shingle
from cupola_trainer.curate.progress import Progress
from cupola_trainer.curate.samples import PER_RULE, Samples
from cupola_trainer.curate.tally import Tally, merge
from cupola_trainer.curate.texts import Flags, Hashes
from cupola_trainer.pod import PodFailure

EXACT = "exact-duplicate"
NEAR = "near-duplicate"

_TOKENIZER_BYTES = 256 << 20
"""Text that a tokenizer is trained on, at most: the beginning of the shuffled order."""
_SHARD_BYTES = 64 << 20
"""Text of a shard, about."""
_BATCH = 1 << 20


def dedup(run: CurateRun, folder: Path) -> dict[str, Any]:
    """Do the stage into `folder`; returns the facts of its manifest.

    Raises PodFailure if a part is missing, a source has no such field or no document is left.
    """
    parts = work.require_parts(run, "clean", rows.PREFIX)
    folders = [part.folder for part in parts]
    tallies = [
        merge(Tally.from_json(part.facts["sources"][i]) for part in parts)
        for i in range(len(run.sources))
    ]
    for source, tally in zip(run.sources, tallies, strict=True):
        check_text(run, source, tally)
    check_pairs(run, merge(tallies))
    numbers = [name for name, kind in rows.SCHEMA.items() if kind is not pl.String]
    documents = rows.columns_of(folders, numbers)
    order = np.lexsort((documents["position"].to_numpy(), documents["part"].to_numpy()))
    documents = documents[order]
    samples = Samples()
    kept = np.ones(documents.height, bool)
    for rule, copies in _copies(run, folders, documents, order):
        kept[copies] = False
        for i, count in Counter(documents["source"].to_numpy()[copies].tolist()).items():
            tallies[i].dropped[rule] += count
        first = documents[np.sort(copies)[:PER_RULE]]
        for texts in rows.texts_at(folders, first):
            for text in texts:
                samples.add(rule, text)
    if not kept.any():
        raise _empty(run, merge(tallies))
    held = _draw(documents, kept, run.validation)
    _write_keep_list(folder, documents, kept, held)
    (folder / "samples.json").write_bytes(canonical(samples.to_json()))
    size = _make_tokenizer(run, folder / "tokenizer", folders, documents.filter(kept & ~held))
    per_part = int(documents["bytes"].cast(pl.UInt64).filter(kept).sum()) // run.parts
    return {
        "sources": [tally.to_json() for tally in tallies],
        "vocabulary": size,
        "tokenizer": tokenizer.digest(folder / "tokenizer"),
        "shardsOfPart": -(-max(per_part, 1) // _SHARD_BYTES),
    }


def _copies(
    run: CurateRun, folders: list[Path], documents: pl.DataFrame, order: Any
) -> Iterator[tuple[str, Any]]:
    """(rule, numbers of documents that are copies): first the exact ones, then the near ones."""
    if run.curation.dedup is None:
        return
    first = first_of_each(documents.select("high", "low").to_numpy())
    yield EXACT, np.flatnonzero(~first)
    banding = near_banding(run.curation.dedup)
    if banding is None:
        return
    near = documents["near"].to_numpy()
    bands = (
        rows.columns_of(folders, [rows.band_name(i)])[rows.band_name(i)].to_numpy()[order]
        for i in range(banding.bands)
    )
    candidates = find_candidates(bands, first & near)
    shingles = _shingle_sets(folders, documents[candidates.documents])
    found = near_copies(candidates, shingles, run.curation.dedup.similarity)
    yield NEAR, np.fromiter((copy for copy, _ in found), np.int64)


def _draw(documents: pl.DataFrame, kept: Flags, share: float) -> Flags:
    """Which documents are held out; of those with a pair some too, and some not."""
    lots = documents["lot"].to_numpy()
    held = np.zeros(len(lots), bool)
    for drawn in (kept, kept & documents["pair"].to_numpy()):
        held[drawn] = held_out(lots[drawn], share)
    return held


def _shingle_sets(folders: list[Path], wanted: pl.DataFrame) -> Iterator[Hashes]:
    """The sorted set of shingles of each wanted document, in order."""
    progress = Progress("dedup: compare")
    for texts in _batched(rows.texts_at(folders, wanted)):
        shingles = shingle(texts)
        for i in range(len(texts)):
            yield shingles.of(i)
        progress.add(len(texts), sum(map(len, texts)))


def _write_keep_list(folder: Path, documents: pl.DataFrame, kept: Flags, held: Flags) -> None:
    """The documents that stay, by key, and which of them are held out."""
    keep = documents.select("key", "part", "position", held=pl.Series(held)).filter(kept)
    keep.sort("key", "part", "position").write_parquet(folder / rows.KEEP, row_group_size=1 << 16)


def _make_tokenizer(
    run: CurateRun, folder: Path, folders: list[Path], training: pl.DataFrame
) -> int:
    """Train or copy the tokenizer; returns the size of its vocabulary."""
    if run.tokenizer is not None:
        tokenizer.copy(run.tokenizer, folder)
        return int(tokenizer.load(folder).get_vocab_size())
    before = pl.col("bytes").cast(pl.UInt64).cum_sum() - pl.col("bytes")
    wanted = (
        training.sort("key", "part", "position")
        .filter(before < _TOKENIZER_BYTES)
        .sort("part", "position")
    )
    trained = tokenizer.train(
        _counted(_batched(rows.texts_at(folders, wanted))), run.vocab_size or 32_000
    )
    tokenizer.save(trained, folder)
    return int(trained.get_vocab_size())


def _counted(batches: Iterator[list[str]]) -> Iterator[list[str]]:
    progress = Progress("dedup: tokenizer")
    for texts in batches:
        yield texts
        progress.add(len(texts), sum(map(len, texts)))


def _batched(pieces: Iterator[list[str]]) -> Iterator[list[str]]:
    """The same texts in lists of about a mebibyte."""
    for texts in pieces:
        batch: list[str] = []
        size = 0
        for text in texts:
            batch.append(text)
            size += len(text)
            if size >= _BATCH:
                yield batch
                batch, size = [], 0
        if batch:
            yield batch


_REMEDIES = {
    "missing-field": "name the field that holds the document in spec.sources[].text",
    "invalid-json": "write one JSON object a line, or correct the format",
    "invalid-utf8": "convert the files to UTF-8",
    "empty": "check that the files hold text",
    "too-large": "split the documents",
    "min-words": "lower spec.curation.quality.minWords",
    "max-words": "raise spec.curation.quality.maxWords",
    "syntax-error": "use quality rules Prose unless the documents are Python source",
    "stop-words": "leave out spec.curation.quality unless the documents are English prose",
    "curly-bracket": "use quality rules Code if the documents are Python source",
    "pii": "use spec.curation.pii.action Redact",
}
_REMEDY = "check that the documents suit the rules, or leave out spec.curation.quality"


def _empty(run: CurateRun, tally: Tally) -> PodFailure:
    """The failure of a Dataset of which nothing is left, with what took most of it."""
    if tally.read:
        rule, count = max(sorted(tally.dropped.items()), key=lambda item: item[1])
        remedy = _REMEDIES.get("pii" if rule.startswith("pii-") else rule, _REMEDY)
        message = (
            f"none of {tally.read:,} documents is left: rule {rule} dropped {count:,}; {remedy}"
        )
    else:
        names = ", ".join(source.name for source in run.sources)
        message = f"the files of {names} hold no document; check uri and format of the sources"
    return PodFailure("DatasetEmpty", message, FailureClass.DATA)
