"""Cupola's dedup of a folder of JSON lines: what stays, seconds of CPU and peak memory, as JSON.

    python ours.py FOLDER SCRATCH

`clean` without any other rule, and `dedup` up to the list of what stays; reading, hashing and
writing included, the tokenizer (which `dedup` makes too) not.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import sys
import time
from pathlib import Path

from cupola_api.run import CurateRun, ListRun
from cupola_trainer import curate
from cupola_trainer.curate import dedup, keep, rows, work

os.environ["POLARS_MAX_THREADS"] = "1"


def main() -> None:
    folder, scratch = Path(sys.argv[1]), Path(sys.argv[2])
    source = {"name": "sample", "uri": folder.resolve().as_uri(), "format": "Jsonl"}
    common = {
        "namespace": "bench",
        "name": "dedup",
        "output": (scratch / "ours").resolve().as_uri(),
        "sources": [source],
    }
    begun = time.process_time()
    listing = curate.main(ListRun.model_validate(common), argparse.Namespace(stage="list")).listing
    if listing is None:
        sys.exit("ours: the sample could not be listed")
    run = CurateRun.model_validate(
        {
            **common,
            "listing": listing.uri,
            "listing_digest": listing.digest,
            "parts": listing.parts,
            "curation": {"dedup": {"similarity": 0.8}},
            "vocab_size": 512,
            "validation": 0.01,
            "seed": 0,
        }
    )
    dedup._make_tokenizer = lambda _run, done, *_: no_tokenizer(done / "tokenizer")  # noqa: SLF001
    for stage, count in (("clean", run.parts), ("dedup", run.ranges)):
        for index in range(count):
            os.environ["JOB_COMPLETION_INDEX"] = str(index)
            curate.main(run, argparse.Namespace(stage=stage))
    seconds = time.process_time() - begun
    staying = keep.read(Path(str(work.stage_folder(run, "dedup")))).collect()
    parts = range(run.parts)
    folders = {part: Path(str(work.stage_folder(run, "clean", part))) for part in parts}
    by_text: dict[str, list[str]] = {}
    for path in sorted(folder.glob("*.jsonl")):
        for line in path.open(encoding="utf-8"):
            record = json.loads(line)
            by_text.setdefault(record["text"], []).append(record["id"])
    texts = (text for found in rows.texts_at(folders, staying) for text in found["text"])
    kept = [by_text[text].pop(0) for text in texts]
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print("\n" + json.dumps({"kept": kept, "seconds": seconds, "peak": peak}))


def no_tokenizer(place: Path) -> int:
    """Nothing is trained here."""
    place.mkdir()
    (place / "tokenizer.json").write_text("{}")
    return 512


if __name__ == "__main__":
    main()
