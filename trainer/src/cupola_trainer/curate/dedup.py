"""Stage `dedup`, its second half: remove copies, draw the validation split, make the tokenizer.

`match` found the copies, range by range; here what stays is decided for all documents at once. So it
holds numbers, not text: some 50 bytes a document, and the pairs that were found.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import polars as pl

from cupola_api.artifact import canonical
from cupola_api.filters import QUALITY_RULES
from cupola_api.outcome import FailureClass
from cupola_api.run import CurateRun
from cupola_trainer.curate import given_tokenizer, listing, quarantine, rows, tokenizer, work
from cupola_trainer.curate.batches import batches
from cupola_trainer.curate.duplicates import cluster_sizes, removed
from cupola_trainer.curate.fields import check_pairs, check_text
from cupola_trainer.curate.identity import held_out
from cupola_trainer.curate.match import found as pairs_found
from cupola_trainer.curate.progress import Progress
from cupola_trainer.curate.samples import PER_RULE, Samples
from cupola_trainer.curate.signatures import numbers
from cupola_trainer.curate.tally import Tally, merge
from cupola_trainer.curate.texts import Flags, Hashes, Ints
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
    columns = [name for name, kind in rows.SCHEMA.items() if kind is not pl.String]
    documents = rows.columns_of(folders, columns).sort("part", "position")
    samples = Samples()
    kept = np.ones(documents.height, bool)
    found = _copies(run)
    for rule, of_rule in ((EXACT, found.exact), (NEAR, found.near)):
        copies = _places(documents, of_rule)
        kept[copies] = False
        for i, count in Counter(documents["source"].to_numpy()[copies].tolist()).items():
            tallies[i].dropped[rule] += count
        first = documents[copies[:PER_RULE]]
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
        "clusters": {str(size): count for size, count in found.sizes.items()},
    }


class _Copies(NamedTuple):
    """The numbers of documents that are copies, ascending, and how many have how many."""

    exact: Hashes
    near: Hashes
    sizes: Counter[int]


def _copies(run: CurateRun) -> _Copies:
    if run.curation.dedup is None:
        nothing = np.empty(0, np.uint64)
        return _Copies(nothing, nothing, Counter())
    exact, near = removed(*pairs_found(run))
    ordered = [np.array(sorted(copies), np.uint64) for copies in (exact, near)]
    return _Copies(ordered[0], ordered[1], cluster_sizes(exact, near))


def _places(documents: pl.DataFrame, copies: Hashes) -> Ints:
    """Where documents of these numbers are in the table, which is sorted by number."""
    of_all = numbers(documents["part"].to_numpy(), documents["position"].to_numpy())
    return np.searchsorted(of_all, copies)


def _draw(documents: pl.DataFrame, kept: Flags, share: float) -> Flags:
    """Which documents are held out; of those with a pair some too, and some not."""
    lots = documents["lot"].to_numpy()
    held = np.zeros(len(lots), bool)
    for drawn in (kept, kept & documents["pair"].to_numpy()):
        held[drawn] = held_out(lots[drawn], share)
    return held


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
        return tokenizer.size(tokenizer.load(folder))
    if run.tokenizer_file is not None:
        files = listing.load(run).files_of_reference(run.tokenizer_file.name)
        given_tokenizer.take(run.tokenizer_file, files, folder)
        return tokenizer.size(tokenizer.load(folder))
    before = pl.col("bytes").cast(pl.UInt64).cum_sum() - pl.col("bytes")
    wanted = (
        training.sort("key", "part", "position")
        .filter(before < _TOKENIZER_BYTES)
        .sort("part", "position")
    )
    trained = tokenizer.train(
        _counted(_batched(rows.texts_at(folders, wanted))),
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
        yield from batches(texts, _BATCH)


_REMEDIES = quarantine.REMEDIES | {
    "missing-field": "name the field that holds the document in spec.sources[].text",
    "empty": "check that the files hold text",
    "min-words": "lower spec.curation.quality.minWords",
    "max-words": "raise spec.curation.quality.maxWords",
    "syntax-error": "use quality rules Prose unless the documents are Python source",
    "stop-words": "leave out spec.curation.quality unless the documents are English prose",
    "curly-bracket": "use quality rules Code if the documents are Python source",
    "language": "name the language in spec.curation.language.keep",
    "language-unsure": "lower spec.curation.language.minScore",
}
_REMEDIES_OF_GROUPS = {
    "pii-": "use spec.curation.pii.action Redact",
    "block-": "correct the block-list",
    "benchmark-": "raise spec.curation.decontamination.words",
}
_REMEDY = "check that the documents suit the rules, or leave out spec.curation.quality"


def _remedy(rule: str) -> str:
    """What to do about a rule that dropped too much."""
    for group, remedy in _REMEDIES_OF_GROUPS.items():
        if rule.startswith(group):
            return remedy
    if rule not in _REMEDIES and rule in QUALITY_RULES:
        return (
            f"change spec.curation.quality.thresholds, or add {rule} to spec.curation.quality.skip"
        )
    return _REMEDIES.get(rule, _REMEDY)


def _empty(run: CurateRun, tally: Tally) -> PodFailure:
    """The failure of a Dataset of which nothing is left, with what took most of it."""
    if tally.read:
        lost = tally.dropped + tally.quarantined
        rule, count = max(sorted(lost.items()), key=lambda item: item[1])
        remedy = _remedy(rule)
        message = (
            f"none of {tally.read:,} documents is left: rule {rule} dropped {count:,}; {remedy}"
        )
    else:
        names = ", ".join(source.name for source in run.sources)
        message = f"the files of {names} hold no document; check uri and format of the sources"
    return PodFailure("DatasetEmpty", message, FailureClass.DATA)
