"""Cupola's curation of the corpus, one core: seconds of CPU of each stage and of the chain, as JSON.

    python ours.py PART WHOLE SCRATCH

The chain is the pods of a Dataset, each a process, as a cluster runs them: list, clean, dedup,
tokenise, publish. The time of a pod is that of its process, the start of Python included. The rules
alone are measured over the documents in memory, as `clean` calls them; near-dedup alone is what a
Dataset with it takes more, up to its stage `dedup`, than one without; tokenise alone is that pod of
a Dataset that keeps all. The tokenizer is trained before, on the same documents, and not counted:
the peer takes it as it is. Private data is looked for as the peer does, e-mail and IP addresses, and
once more of all kinds; the chain looks for all. The rules of quality are Gopher's alone, as the
peer's. The stages alone take the folder PART, the chain takes WHOLE; what the rules drop is printed
too.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from cupola_api.artifact import read_manifest
from cupola_api.dataset import PiiKind
from cupola_api.filters import Quality
from cupola_api.run import CurateRun, Input, ListRun, dump
from cupola_trainer import curate
from cupola_trainer.curate import pii
from cupola_trainer.curate.batches import batches
from cupola_trainer.curate.filters import gopher, repetition
from cupola_trainer.curate.filters.quality import judge
from cupola_trainer.curate.texts import Texts

BATCH = 1 << 18
"""Characters that `clean` works on at a time."""

VOCABULARY = 32_000
GOPHER = {"skip": ["terminal-punctuation", "lorem-ipsum", "curly-bracket"]}
"""The rules for prose without those that are C4's."""

CHAIN = {"quality": GOPHER, "pii": {}, "dedup": {}}
QUALITY = (
    gopher.word_length,
    gopher.symbols,
    gopher.line_marks,
    gopher.alphabetic_words,
    gopher.stop_words,
)
REPETITION = (repetition.line_shares, repetition.n_gram_shares)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("part", type=Path, help="folder of JSON lines")
    parser.add_argument("whole", type=Path, help="folder of JSON lines")
    parser.add_argument("scratch", type=Path)
    asked = parser.parse_args()
    shutil.rmtree(asked.scratch, ignore_errors=True)
    asked.scratch.mkdir(parents=True)
    first = chain(asked.part, asked.scratch / "first", {}, {"vocab_size": VOCABULARY})
    given = {"tokenizer": first["tokenizer"]}
    bare = chain(asked.part, asked.scratch / "bare", {}, given)
    unique = chain(asked.part, asked.scratch / "unique", {"dedup": {}}, given)
    whole = chain(asked.whole, asked.scratch / "whole", CHAIN, given)
    up_to_dedup = ("clean", "dedup")
    seconds = {
        **rules(asked.part),
        "dedup": sum(unique["seconds"][one] - bare["seconds"][one] for one in up_to_dedup),
        "tokenise": bare["seconds"]["tokenise"],
        "chain": sum(whole["seconds"].values()),
    }
    judged = verdicts(asked.whole)
    dropped = {name: rule for name, rule in judged.items() if rule}
    left = {
        "read": whole["read"],
        "after quality": len(judged) - len(dropped),
        "after dedup": whole["kept"],
    }
    facts = {"left": left, "stages": whole["seconds"], "tokenizer": given["tokenizer"].uri}
    json.dump({"seconds": seconds, "dropped": dropped, **facts}, sys.stdout)


def verdicts(folder: Path) -> dict[str, str | None]:
    """For each document, by name, the rule of quality that drops it; this is not timed."""
    quality = Quality.model_validate(GOPHER)
    names, texts = zip(*documents(folder), strict=True)
    rules = [rule for batch in batches(texts, BATCH) for rule in judge(batch, quality).rules]
    return dict(zip(names, rules, strict=True))


def rules(folder: Path) -> dict[str, float]:
    """Seconds of each family of rules over all documents."""
    parts = list(batches((text for _, text in documents(folder)), BATCH))
    for rule in (*QUALITY, *REPETITION):
        rule(Texts(parts[0]))  # what is made at the first document is not counted
    pii.redact(parts[0][0], set(PiiKind))

    def each(measures: tuple[Callable[[Texts], Any], ...]) -> None:
        for batch in parts:
            texts = Texts(batch)
            for measure in measures:
                measure(texts)

    def redact(kinds: set[PiiKind]) -> None:
        for batch in parts:
            for text in batch:
                pii.redact(text, kinds)

    work = {
        "quality": lambda: each(QUALITY),
        "repetition": lambda: each(REPETITION),
        "pii": lambda: redact({PiiKind.EMAIL, PiiKind.IP_ADDRESS}),
        "pii, all kinds": lambda: redact(set(PiiKind)),
    }
    return {name: timed(one) for name, one in work.items()}


def documents(folder: Path) -> Iterator[tuple[str, str]]:
    """Name and text of each document that has text."""
    for path in sorted(folder.glob("*.jsonl")):
        with path.open(encoding="utf-8") as lines:
            for line in lines:
                record = json.loads(line)
                if record["text"].strip():
                    yield record["id"], record["text"]


def chain(
    sample: Path, output: Path, curation: dict[str, Any], tokenizer: dict[str, Any]
) -> dict[str, Any]:
    """Curate a Dataset; seconds of each pod, documents kept, and its tokenizer for another."""
    common = {
        "namespace": "bench",
        "name": output.name,
        "output": output.as_uri(),
        "sources": [{"name": "corpus", "uri": sample.as_uri(), "format": "Jsonl"}],
    }
    spent: dict[str, float] = {}
    begun = time.process_time()
    listing = curate.main(ListRun.model_validate(common), argparse.Namespace(stage="list")).listing
    spent["list"] = time.process_time() - begun
    if listing is None:
        sys.exit("ours: the sample could not be listed")
    run = CurateRun.model_validate(
        {
            **common,
            "listing": listing.uri,
            "listing_digest": listing.digest,
            "parts": listing.parts,
            "curation": curation,
            "validation": 0.01,
            "seed": 0,
            "documents": False,
            **tokenizer,
        }
    )
    file = output / "run.yaml"
    file.write_text(dump(run))
    pods = {"clean": run.parts, "dedup": run.ranges, "tokenise": run.parts, "publish": 1}
    for stage, parts in pods.items():
        before = children()
        for part in range(parts):
            pod(file, stage, part)
        spent[stage] = children() - before
    folder = Path(run.folder.removeprefix("file://")) / "artifact"
    manifest, artifact = read_manifest(folder)
    return {
        "seconds": spent,
        "read": manifest.facts["documentsRead"],
        "kept": manifest.facts["documentsKept"],
        "tokenizer": Input(
            kind="Dataset", name=output.name, uri=artifact.uri, digest=artifact.digest
        ),
    }


def pod(file: Path, stage: str, part: int) -> None:
    """Run one pod to its end."""
    environment = {**os.environ, "JOB_COMPLETION_INDEX": str(part)}
    words = [sys.executable, "-m", "cupola_trainer", "curate", str(file), "--stage", stage]
    done = subprocess.run(
        words, env=environment, capture_output=True, text=True, timeout=3600, check=False
    )
    if done.returncode:
        sys.exit(f"ours: {stage} failed: {done.stdout[-500:]}{done.stderr[-500:]}")


def children() -> float:
    """Seconds of CPU of the processes that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def timed(work: Callable[[], object]) -> float:
    begun = time.process_time()
    work()
    return time.process_time() - begun


if __name__ == "__main__":
    main()
