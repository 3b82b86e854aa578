"""Stage `tokenise`: encode one range of the shuffled order, whichever parts its documents are in.

Every document has a key, a hash of its content under the seed. Pod j takes the j-th range of keys,
in as many equal pieces as there are shards, and sorts each: one after the other the shards are all
documents in the order of their keys. No process ever holds more than one shard.
"""

from __future__ import annotations

import json
from array import array
from pathlib import Path
from typing import Any

import polars as pl

from cupola_api.run import CurateRun
from cupola_trainer.curate import keep, line_copies, rows, tokenizer, work
from cupola_trainer.curate.batches import batches
from cupola_trainer.curate.census import lines_of
from cupola_trainer.curate.documents import FOLDER, write_documents
from cupola_trainer.curate.encode import Encoder
from cupola_trainer.curate.mixture import Counts
from cupola_trainer.curate.progress import Progress
from cupola_trainer.curate.rounds import write_drawn
from cupola_trainer.shards import write_shard

SPLITS = ("train", "validation")
_BATCH = 1 << 20


def tokenise(run: CurateRun, part: int, folder: Path) -> dict[str, Any]:
    """Do the stage for one range into `folder`; returns the facts of its manifest."""
    first, last = (edge * rows.KEYS // run.parts for edge in (part, part + 1))
    slices = rows.slices_between(first, last, rows.slices(run.parts))
    decided = [of(number) for number in slices for of in (keep.prefix, line_copies.prefix)]
    done, facts = work.require(work.stage_folder(run, "dedup"), run, *decided, "tokenizer/")
    cleaned = work.require_parts(run, "clean", *map(rows.prefix, slices))
    folders = [part.folder for part in cleaned]
    encoder = Encoder(tokenizer.load(done / "tokenizer"))
    progress = Progress(f"tokenise {part}")
    progress.reach(0, 0, 0.0, facts["documents"])
    size = 0
    counts = {split: {"documents": 0, "tokens": 0, "examples": 0} for split in SPLITS}
    mixed = Counts()
    names = [source.name for source in run.sources]
    shards = facts["shardsOfPart"]
    for shard in range(part * shards, (part + 1) * shards):
        low, high = (edge * rows.KEYS // (run.parts * shards) for edge in (shard, shard + 1))
        found = _documents(run, folders, done, low, high)
        if run.documents and found.height:
            write_documents(folder / FOLDER, shard, found, run.sources)
        for split in SPLITS:
            chosen = found.filter(pl.col("held") == (split == "validation"))
            encoded = _encode(encoder, chosen["text"], progress)
            write_shard(folder / split, shard, encoded, facts["vocabulary"])
            if run.mixing and split == "train":
                hashes = chosen["high"].to_numpy()
                write_drawn(folder / split, shard, hashes, chosen["source"].to_list(), run.seed)
            lengths = [len(tokens) for tokens in encoded]
            counts[split]["documents"] += len(encoded)
            counts[split]["tokens"] += sum(lengths)
            sources = [names[i] for i in chosen["source"]]
            mixed.see(sources, chosen["text"].to_list(), lengths, chosen["url"])
            if run.task:
                paired = chosen.filter(pl.col("input").is_not_null())
                counts[split]["examples"] += paired.height
                _append_pairs(folder / "pairs" / f"{split}.jsonl", paired)
        size += int(found["bytes"].cast(pl.UInt64).sum())
        documents = sum(counts[split]["documents"] for split in SPLITS)
        progress.reach(documents, size, (shard + 1) / shards - part, facts["documents"])
        del found, chosen, encoded  # there is room for one shard at a time
    progress.say()
    worked = {"documents": documents, "bytes": size}
    return {**counts, "mixture": mixed.to_json(), "worked": worked}


def _documents(
    run: CurateRun, folders: list[Path], done: Path, low: int, high: int
) -> pl.DataFrame:
    """The documents that stay, with `low <= key < high`, in shuffled order."""
    slices = rows.slices(run.parts)
    stay = keep.between(done, low, high, slices)
    found = rows.between(folders, low, high, slices).join(
        stay, on=("part", "position"), how="inner"
    )
    if lines := lines_of(run):
        found = line_copies.taken(done, rows.slices_between(low, high, slices), found, lines.unit)
    # Content decides the order; place only between copies of the same content.
    return found.sort("key", "high", "low", "part", "position")


def _encode(encoder: Encoder, texts: pl.Series, progress: Progress) -> list[array[int]]:
    """Token ids of each document, closed by the end token."""
    encoded = []
    for batch in batches(texts, _BATCH, len):
        encoded += encoder.encode(batch)
        progress.add(len(batch), sum(map(len, batch)))
    return encoded


def _append_pairs(path: Path, documents: pl.DataFrame) -> None:
    path.parent.mkdir(exist_ok=True)
    with path.open("a", encoding="utf-8", newline="\n") as file:
        for prompt, answer in documents.select("input", "output").iter_rows():
            pair = {"input": prompt, "output": answer}
            file.write(json.dumps(pair, ensure_ascii=False, sort_keys=True) + "\n")
