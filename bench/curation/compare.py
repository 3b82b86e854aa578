"""Cupola's curation beside datatrove's: the same text, the same machine, the same core, in turn.

    python compare.py [--every 10]

`make bench-curation` runs it. Prints megabytes of text a second of CPU by stage and of the chain,
and the ratio; then which documents each keeps, and what drops those that only one of them keeps.
Each stage alone takes a tenth of the documents, the chain all of them: datatrove needs a quarter of
an hour for that.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

HERE = Path(__file__).resolve().parent
FOLDER = HERE.parents[1] / ".cupola" / "bench"
PEER = (
    "datatrove[io,processing]==0.10.1",
    "spacy>=3.8,<4",
    "tokenizers>=0.22",
    "resiliparse>=2.0.1",
)
"""What the peer's environment holds; resiliparse reads the HTML of the corpus."""

PART = 10
"""The stages alone take each tenth document."""

ONE_CORE = {
    "HF_HUB_OFFLINE": "1",
    "OMP_NUM_THREADS": "1",
    "POLARS_MAX_THREADS": "1",
    "RAYON_NUM_THREADS": "1",
    "TOKENIZERS_PARALLELISM": "false",
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument(
        "--every", type=int, default=1, help="the chain takes each Nth document of the corpus"
    )
    every: int = parser.parse_args().every
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})  # of all processes that this one starts
    FOLDER.mkdir(parents=True, exist_ok=True)
    peer = environment()
    corpus = FOLDER / "corpus"
    if not (corpus / ".done").exists():
        run([str(peer), str(HERE / "corpus.py"), str(corpus)])
        (corpus / ".done").touch()
    sizes = {name: take(corpus, FOLDER / name, n) for name, n in (("part", PART), ("all", every))}
    part, whole = (FOLDER / name for name in sizes)
    print(f"{sizes['all'] / 1e6:.0f} MB of text; Cupola ...", flush=True)
    ours = measured(sys.executable, "ours.py", part, whole, FOLDER / "ours")
    print("datatrove ...", flush=True)
    tokenizer = Path(ours["tokenizer"].removeprefix("file://")) / "tokenizer" / "tokenizer.json"
    theirs = measured(str(peer), "peer.py", part, whole, tokenizer, FOLDER / "peer")
    show_speed(sizes["part"], sizes["all"], ours, theirs)
    show_kept(ours, theirs)


def environment() -> Path:
    """The Python of an environment with datatrove; made where there is none."""
    python = FOLDER / "datatrove" / "bin" / "python"
    made = FOLDER / "datatrove" / ".made"
    if not made.exists() or made.read_text() != repr(PEER):
        uv = str(HERE.parents[1] / "scripts" / "uv")
        run([uv, "venv", "--quiet", "--clear", "--python", sys.executable, str(python.parents[1])])
        run([uv, "pip", "install", "--quiet", "--python", str(python), *PEER])
        made.write_text(repr(PEER))
    return python


def take(corpus: Path, sample: Path, every: int) -> int:
    """Each Nth document of the corpus as one file of JSON lines; returns the bytes of their text."""
    sample.mkdir(exist_ok=True)
    size = number = 0
    with (sample / "documents.jsonl").open("w", encoding="utf-8") as lines:
        for path in sorted(corpus.glob("*.jsonl")):
            for line in path.open(encoding="utf-8"):
                if number % every == 0:
                    lines.write(line)
                    size += len(json.loads(line)["text"].encode())
                number += 1
    return size


def measured(python: str, script: str, *arguments: Path) -> dict[str, Any]:
    """What a script prints as JSON."""
    words = [python, str(HERE / script), *map(str, arguments)]
    done = subprocess.run(
        words,
        env={**os.environ, **ONE_CORE},
        capture_output=True,
        text=True,
        timeout=6 * 3600,
        check=False,
    )
    if done.returncode:
        sys.exit(f"{script} failed:\n{done.stdout[-1000:]}{done.stderr[-2000:]}")
    return dict(json.loads(done.stdout.splitlines()[-1]))


def run(words: list[str]) -> None:
    subprocess.run(words, check=True, timeout=3600)


def show_speed(part: int, whole: int, ours: dict[str, Any], theirs: dict[str, Any]) -> None:
    print(f"\n{'MB a second of CPU':<20}{'Cupola':>10}{'datatrove':>12}{'ratio':>8}")
    for stage, seconds in ours["seconds"].items():
        size = whole if stage == "chain" else part
        mine = size / 1e6 / seconds
        line = f"{stage:<20}{mine:>10.1f}"
        if stage in theirs["seconds"]:
            other = size / 1e6 / theirs["seconds"][stage]
            line += f"{other:>12.2f}{mine / other:>8.1f}"
        print(line)
    pods = ", ".join(f"{name} {seconds:.1f}" for name, seconds in ours["stages"].items())
    print(f"\nseconds of CPU of the pods of Cupola's chain: {pods}")


def show_kept(ours: dict[str, Any], theirs: dict[str, Any]) -> None:
    """Documents after each stage, and for each reason to drop one what the other says of it."""
    print(f"\n{'documents':<36}{'Cupola':>10}{'datatrove':>12}")
    for stage, count in ours["left"].items():
        print(f"{stage:<36}{count:>10,}{theirs['left'][stage]:>12,}")
    mine, other = ours["dropped"], theirs["dropped"]
    of_other = Counter((rule, i in mine) for i, rule in other.items())
    of_mine = Counter((rule, i in other) for i, rule in mine.items())
    for title, counts in (("dropped by datatrove", of_other), ("dropped by Cupola", of_mine)):
        print(f"\n{title:<36}{'by both':>10}{'alone':>12}")
        rules = Counter({rule: counts[rule, True] + counts[rule, False] for rule, _ in counts})
        for rule, _ in rules.most_common():
            print(f"  {rule:<34}{counts[rule, True]:>10,}{counts[rule, False]:>12,}")


if __name__ == "__main__":
    main()
