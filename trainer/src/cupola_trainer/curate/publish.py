"""Stage `publish`: put the parts together as the Dataset's artifact, and remove what they needed.

tokenizer/          for transformers.AutoTokenizer.from_pretrained
train/ validation/  token shards and their index, see `cupola_trainer.shards`
pairs/              train.jsonl and validation.jsonl of a Dataset with a task
documents/          the documents that stay, see `documents`
quarantine.jsonl    what could not be read: file, place and reason; none if all could
dropped/            RULE.jsonl: a few of those that each rule dropped, private data replaced
curation.json       what was read, dropped and replaced, by source and rule; what is left is like
"""

from __future__ import annotations

import json
import math
import os
import shutil
from collections import Counter
from pathlib import Path
from typing import Any

from cupola_api.artifact import canonical
from cupola_api.common import Lineage
from cupola_api.dataset import ClusterCount, DatasetSummary
from cupola_api.run import CurateRun
from cupola_trainer.curate import documents, listing, quarantine, work
from cupola_trainer.curate.mixture import Counts, mixture
from cupola_trainer.curate.rounds import Mixed, largest, mix_shards
from cupola_trainer.curate.tally import Tally, merge, rule_counts
from cupola_trainer.shards import write_index

SPLITS = ("train", "validation")
_SAMPLES = 10
_OWN = ("fields", "firstBad", "pairs")
"""What stages alone need of a tally."""


def publish(run: CurateRun, folder: Path) -> dict[str, Any]:
    """Assemble the artifact in `folder`; returns its summary as the facts of its manifest."""
    done, facts = work.require(work.stage_folder(run, "dedup"), run)
    encoded = work.require_parts(run, "tokenise")
    parts, counted = [part.folder for part in encoded], [part.facts for part in encoded]
    cleaned = work.require_parts(run, "clean", "samples.json", quarantine.FILE, check_here=False)
    totals = {
        split: {key: sum(c[split][key] for c in counted) for key in counted[0][split]}
        for split in SPLITS
    }
    shutil.copytree(done / "tokenizer", folder / "tokenizer", copy_function=_link)
    mixed = None
    for split in SPLITS:
        shards = _shards([part / split for part in parts])
        if run.mixing and split == "train" and shards:
            mixed = mix_shards(run, shards, folder / split, facts["vocabulary"])
            totals[split] |= {"documents": mixed.documents, "tokens": mixed.tokens}
        else:
            _join_shards(shards, folder / split)
        write_index(folder / split, facts["vocabulary"])
        if run.task:
            name = f"pairs/{split}.jsonl"
            _join_lines([part / name for part in parts], folder / name)
    if run.documents:
        _join_documents([part / documents.FOLDER for part in parts], folder / documents.FOLDER)
    tallies = [Tally.from_json(value) for value in facts["sources"]]
    whole = merge(tallies)
    summary = DatasetSummary(
        documents_read=whole.read,
        documents_kept=whole.kept,
        dropped=rule_counts(whole.dropped),
        quarantined=rule_counts(whole.quarantined),
        redacted=rule_counts(whole.redacted),
        clusters=_clusters(facts["clusters"]),
        languages=rule_counts(whole.languages, most=12) or None,
        tokens=totals["train"]["tokens"],
        validation_tokens=totals["validation"]["tokens"],
        examples=totals["train"]["examples"],
        validation_examples=totals["validation"]["examples"],
        mixing=largest(mixed.sources) if mixed else None,
        vocabulary=facts["vocabulary"],
        tokenizer_digest=facts["tokenizer"],
    )
    report = {
        "sources": {
            source.name: {k: v for k, v in tally.to_json().items() if k not in _OWN}
            for source, tally in zip(run.sources, tallies, strict=True)
        },
        "splits": totals,
        "mixture": _mixture(run, counted, folder / "train", facts["vocabulary"], mixed),
    }
    listed = [part.folder / quarantine.FILE for part in cleaned]
    if listed := [path for path in listed if path.exists()]:
        _join_lines(listed, folder / quarantine.FILE)
    if classifier := listing.load_classifier(run, listing.load(run)):
        report["classifier"] = classifier.facts
    (folder / "curation.json").write_bytes(canonical(report))
    _write_samples([*(part.folder for part in cleaned), done], folder / "dropped")
    return summary.to_json()


def _clusters(counts: dict[str, int]) -> list[ClusterCount]:
    """By size, those without a bound last."""
    ordered = sorted((int(size) or math.inf, count) for size, count in counts.items())
    return [
        ClusterCount(size=None if size == math.inf else int(size), count=count)
        for size, count in ordered
    ]


def _mixture(
    run: CurateRun,
    counted: list[dict[str, Any]],
    train: Path,
    vocabulary: int,
    mixed: Mixed | None,
) -> dict[str, Any]:
    """What the documents that stay are like, and how they are mixed."""
    counts = Counts()
    for facts in counted:
        counts.add(Counts.from_json(facts["mixture"]))
    made = mixture(counts, [source.name for source in run.sources], train, vocabulary)
    return made.model_copy(update={"mixing": mixed.sources if mixed else None}).to_json()


def lineage(run: CurateRun) -> list[Lineage]:
    """What the artifact is made from: the files of each source, and a tokenizer that was taken.

    Of a source that a model wrote also that, the model and the Dataset that it was asked about.
    """
    listed = listing.load(run)
    found = [
        Lineage(kind="Source", name=source.name, digest=listed.source_digest(source.name))
        for source in run.sources
    ]
    found += [
        Lineage(kind="Reference", name=file.name, digest=listed.reference_digest(file.name))
        for file in run.curation.files()
    ]
    for source in run.sources:
        if wrote := source.made_by:
            found += [
                Lineage(kind="Synthetic", name=source.name, digest=wrote.digest),
                *wrote.inputs,
            ]
    return [*found, *([run.tokenizer.lineage()] if run.tokenizer else [])]


def _shards(folders: list[Path]) -> list[Path]:
    """The shards that hold tokens, in their order."""
    return [p for folder in folders for p in sorted(folder.glob("*.tokens")) if p.stat().st_size]


def _join_shards(shards: list[Path], target: Path) -> None:
    """Number the shards anew, in their order."""
    target.mkdir()
    for number, tokens in enumerate(shards):
        for path in (tokens, tokens.with_suffix(".ends")):
            _link(path, target / f"{number:05d}{path.suffix}")


def _join_lines(paths: list[Path], target: Path) -> None:
    target.parent.mkdir(exist_ok=True)
    with target.open("wb") as joined:
        for path in paths:
            with path.open("rb") as lines:
                shutil.copyfileobj(lines, joined)


def _join_documents(folders: list[Path], target: Path) -> None:
    """Number the files of documents anew, in their order."""
    target.mkdir()
    files = [path for folder in folders for path in sorted(folder.glob("*.zst"))]
    for number, path in enumerate(files):
        _link(path, target / documents.name(number))


def _link(source: Path | str, target: Path | str) -> None:
    """A second name for a file, or a copy where storage has no such thing."""
    try:
        os.link(source, target)
    except OSError:
        shutil.copyfile(source, target)


def _write_samples(folders: list[Path], target: Path) -> None:
    """A file for each rule, of the beginnings of documents that it dropped."""
    target.mkdir()
    for rule, texts in sorted(_samples(folders).items()):
        lines = [json.dumps({"text": text}, ensure_ascii=False) + "\n" for text in texts]
        (target / f"{rule}.jsonl").write_text("".join(lines), encoding="utf-8")


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
