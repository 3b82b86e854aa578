"""Peak memory and CPU of each stage's pods, for one shard and for one of ten times its size.

    python bench/curation/memory.py [--megabytes 80] [--folder FOLDER]

Text is drawn by frequency of words (Zipf), with near and exact copies and common lines among it, in
one file: so a part is as large as the shard. Every pod is a process of its own, as in a cluster. Says
too what share of the chain's CPU time is spent in pods that others wait for: the bound on what more
pods can save.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np

from cupola_api import run as contract
from cupola_api.run import CurateRun, ListRun
from cupola_trainer import curate

TIMES = 10
BOUND = 1.2
CURATION = {"pii": {}, "dedup": {"similarity": 0.8, "lines": {}}}
SERIAL = ("decide", "publish")
"""Work that one pod does for all."""


class Use(NamedTuple):
    """What a pod took."""

    peak: float
    """MB."""
    cpu: float
    """Seconds."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--megabytes", type=int, default=80, help="of the smaller shard")
    parser.add_argument("--folder", type=Path, help="for the text and the work, instead of TMPDIR")
    asked = parser.parse_args()
    found = {}
    for times in (1, TIMES):
        with tempfile.TemporaryDirectory(dir=asked.folder) as scratch:
            found[times] = chain(Path(scratch), times * asked.megabytes * 1_000_000)
    print(f"\npeak memory of a pod, MB: shard of {asked.megabytes} MB, {TIMES} times that, ratio")
    worst = 0.0
    for stage, small in found[1].items():
        large = found[TIMES][stage]
        worst = max(worst, large.peak / small.peak)
        print(f"  {stage:10} {small.peak:7.0f} {large.peak:7.0f} {large.peak / small.peak:6.2f}")
    cpu = {stage: use.cpu for stage, use in found[TIMES].items()}
    serial = sum(cpu[stage] for stage in SERIAL) / sum(cpu.values())
    told = ", ".join(f"{stage} {seconds:.0f}" for stage, seconds in cpu.items())
    print(f"seconds of CPU of the larger: {told}")
    print(
        f"{serial:.0%} of it in pods that others wait for: two pods are {2 / (1 + serial):.2f}x one"
    )
    if worst > BOUND:
        sys.exit(f"memory grows to {worst:.2f} times; at most {BOUND} is allowed")


def chain(folder: Path, size: int) -> dict[str, Use]:
    """Curate so many bytes; the use of each stage."""
    source = folder / "text.jsonl"
    with source.open("w") as file:
        for text in documents(size):
            file.write(json.dumps({"text": text}) + "\n")
    common = {
        "namespace": "bench",
        "name": "memory",
        "output": (folder / "out").as_uri(),
        "sources": [{"name": "text", "uri": source.as_uri(), "format": "Jsonl"}],
    }
    listing = curate.main(ListRun.model_validate(common), argparse.Namespace(stage="list")).listing
    if listing is None:
        sys.exit("the text could not be listed")
    run = CurateRun.model_validate(
        {
            **common,
            "listing": listing.uri,
            "listing_digest": listing.digest,
            "parts": listing.parts,
            "curation": CURATION,
            "vocab_size": 8000,
            "validation": 0.01,
            "seed": 0,
            "documents": True,
        }
    )
    file_of_run = folder / "run.yaml"
    file_of_run.write_text(contract.dump(run))
    # `dedup` twice: a pod that matches, told by what it imports, and the same one that decides.
    stages = {"clean": "clean", "match": "dedup", "decide": "dedup", "tokenise": "tokenise"}
    return {
        name: pod(file_of_run, stage, only_match=name == "match")
        for name, stage in {**stages, "publish": "publish"}.items()
    }


def pod(run: Path, stage: str, *, only_match: bool) -> Use:
    """Run a pod to its end."""
    # A pod that finds another range missing does not decide.
    code = "import sys; from cupola_trainer.curate import work; "
    code += "work.are_there = lambda *_: False; " if only_match else ""
    code += "from cupola_trainer.command import main; sys.exit(main(sys.argv[1:]))"
    process = subprocess.Popen(
        [sys.executable, "-c", code, "curate", str(run), "--stage", stage],
        env={
            **os.environ,
            "JOB_COMPLETION_INDEX": "0",
            "TERMINATION_LOG": str(run.with_suffix(".said")),
            "POLARS_MAX_THREADS": "2",
            "RAYON_NUM_THREADS": "2",
        },
        stdout=subprocess.DEVNULL,
    )
    _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(f"stage {stage} failed: {run.with_suffix('.said').read_text()}")
    found = Use(used.ru_maxrss * 1024 / 1e6, used.ru_utime + used.ru_stime)
    name = "match" if only_match else stage
    print(f"{name}: {found.peak:.0f} MB, {found.cpu:.1f} s of CPU", flush=True)
    return found


def documents(size: int) -> Iterator[str]:
    """Documents of so many bytes together."""
    draw = np.random.default_rng(0)
    words = np.array([f"{'kmstrlnbd'[i % 9]}{'aeiou'[i % 5]}{i:x}" for i in range(50_000)])
    menu = "home products about us contact terms and conditions of use all of them"
    made = 0
    last = ""
    while made < size:
        places = (50_000 ** draw.random((200, 30, 12))).astype(int) - 1
        for lines in words[places]:
            kind = draw.random()
            text = "\n".join([menu, *(" ".join(line) for line in lines)])
            if last and kind < 0.05:
                text = last
            elif last and kind < 0.15:
                text = f"{last} and more"
            last = text
            made += len(text)
            yield text


if __name__ == "__main__":
    main()
