"""Stage `publish`: put the parts together as the Dataset's artifact, and remove what they needed.

tokenizer/          for transformers.AutoTokenizer.from_pretrained
train/ validation/  token shards, see `cupola_trainer.shards`
pairs/              train.jsonl and validation.jsonl of a Dataset with a task
curation.json       what was read, dropped and replaced, by source and rule, with samples
"""

from __future__ import annotations

import json
import os
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

from cupola_api.artifact import canonical
from cupola_api.common import Lineage
from cupola_api.dataset import DatasetSummary
from cupola_api.run import CurateRun
from cupola_trainer.curate import listing, work
from cupola_trainer.curate.tally import Tally, merge, rule_counts

SPLITS = ("train", "validation")
_SAMPLES = 10


def publish(run: CurateRun, folder: Path) -> dict[str, Any]:
    """Assemble the artifact in `folder`; returns its summary as the facts of its manifest."""
    done, facts = work.require(work.stage_folder(run, "dedup"), run)
    encoded = work.require_parts(run, "tokenise")
    parts, counted = [part.folder for part in encoded], [part.facts for part in encoded]
    cleaned = work.require_parts(run, "clean", "samples.json", check_here=False)
    totals = {
        split: {key: sum(c[split][key] for c in counted) for key in counted[0][split]}
        for split in SPLITS
    }
    shutil.copytree(done / "tokenizer", folder / "tokenizer", copy_function=_link)
    for split in SPLITS:
        _join_shards([part / split for part in parts], folder / split)
        if run.task:
            _join_lines([part / "pairs" / f"{split}.jsonl" for part in parts], folder, split)
    tallies = [Tally.from_json(value) for value in facts["sources"]]
    whole = merge(tallies)
    summary = DatasetSummary(
        documents_read=whole.read,
        documents_kept=whole.kept,
        dropped=rule_counts(whole.dropped),
        redacted=rule_counts(whole.redacted),
        tokens=totals["train"]["tokens"],
        validation_tokens=totals["validation"]["tokens"],
        examples=totals["train"]["examples"],
        validation_examples=totals["validation"]["examples"],
        vocabulary=facts["vocabulary"],
        tokenizer_digest=facts["tokenizer"],
    )
    report = {
        "sources": {
            source.name: {k: v for k, v in tally.to_json().items() if k not in ("fields", "pairs")}
            for source, tally in zip(run.sources, tallies, strict=True)
        },
        "splits": totals,
        "samples": _samples([*(part.folder for part in cleaned), done]),
    }
    (folder / "curation.json").write_bytes(canonical(report))
    return summary.to_json()


def lineage(run: CurateRun) -> list[Lineage]:
    """What the artifact is made from: the files of each source, and a tokenizer that was taken."""
    listed = listing.load(run)
    found = [
        Lineage(kind="Source", name=source.name, digest=listed.source_digest(source.name))
        for source in run.sources
    ]
    return [*found, *([run.tokenizer.lineage()] if run.tokenizer else [])]


def _join_shards(folders: list[Path], target: Path) -> None:
    """Number the shards that hold tokens anew, in their order."""
    target.mkdir()
    shards = [p for folder in folders for p in sorted(folder.glob("*.tokens")) if p.stat().st_size]
    for number, tokens in enumerate(shards):
        for path in (tokens, tokens.with_suffix(".ends")):
            _link(path, target / f"{number:05d}{path.suffix}")


def _join_lines(paths: list[Path], folder: Path, split: str) -> None:
    target = folder / "pairs" / f"{split}.jsonl"
    target.parent.mkdir(exist_ok=True)
    with target.open("wb") as joined:
        for path in paths:
            with path.open("rb") as lines:
                shutil.copyfileobj(lines, joined)


def _link(source: Path | str, target: Path | str) -> None:
    """A second name for a file, or a copy where storage has no such thing."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)


def _samples(folders: list[Path]) -> dict[str, list[str]]:
    """The first few documents that each rule dropped, over all parts."""
    found: dict[str, list[str]] = {}
    counts: Counter[str] = Counter()
    for folder in folders:
        for rule, texts in json.loads((folder / "samples.json").read_bytes()).items():
            room = _SAMPLES - counts[rule]
            found.setdefault(rule, []).extend(texts[:room])
            counts[rule] = len(found[rule])
    return found
