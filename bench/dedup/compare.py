"""Near-dedup beside datatrove's: how many planted copies go, and whether what goes has a copy that stays.

    python compare.py FOLDER [--every 20] [--peer PYTHON]

FOLDER holds JSON lines, as `bench/curation` makes them. Among each Nth of its documents copies of a
thousand of them are planted, with words changed, added and taken away, at similarities of .80 to .95.
Both remove copies of a similarity of .8. Whatever either removes is compared with all that it keeps.
"""

from __future__ import annotations

import argparse
import json
import random
import subprocess
import sys
import tempfile
from collections import Counter, defaultdict
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np

from cupola_trainer.curate.minhash import SHINGLE_WORDS, jaccard, shingle

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "curation"))

from compare import environment  # noqa: E402  of bench/curation

SIMILARITY = 0.8
COPIES = 250
EDGES = (0.8, 0.85, 0.9, 0.95, 1.01)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", type=Path, help="of JSON lines")
    parser.add_argument("--every", type=int, default=20, help="take each Nth document")
    parser.add_argument("--peer", help="a Python with datatrove, instead of the one made for it")
    asked = parser.parse_args()
    texts = list(islice(documents(asked.folder), 0, None, asked.every))
    copies = list(planted(texts))
    with tempfile.TemporaryDirectory() as scratch:
        sample = Path(scratch) / "sample"
        sample.mkdir()
        everything = [*texts, *(copy for _, copy, _ in copies)]
        order = random.Random(0).sample(  # noqa: S311  nothing here is secret
            range(len(everything)), len(everything)
        )
        with (sample / "all.jsonl").open("w", encoding="utf-8") as lines:
            for number in order:
                lines.write(json.dumps({"id": str(number), "text": everything[number]}) + "\n")
        size = sum(len(text.encode()) for text in everything) / 1e6
        print(f"{len(everything):,} documents, {size:.1f} MB, {len(copies):,} planted", flush=True)
        results = {
            "Cupola": said(sys.executable, "ours.py", sample, scratch),
            "datatrove": said(asked.peer or str(environment()), "peer.py", sample, scratch),
        }
    for name, result in results.items():
        show(name, size, result, everything, copies)


def documents(folder: Path) -> Iterator[str]:
    for path in sorted(folder.glob("*.jsonl")):
        for line in path.open(encoding="utf-8"):
            text = json.loads(line)["text"]
            if text.strip():  # Cupola drops others by a rule of its own
                yield text


def planted(texts: list[str]) -> Iterator[tuple[int, str, float]]:
    """(number of the original, a copy of it, their similarity)."""
    draw = random.Random(0)  # noqa: S311  nothing here is secret
    long = [i for i, text in enumerate(texts) if 200 <= len(text.split()) <= 3000]
    for place, number in enumerate(draw.sample(long, COPIES * (len(EDGES) - 1))):
        least = EDGES[place // COPIES]
        words = texts[number].split(" ")
        own, copy, similarity = shingle([texts[number]]).of(0), texts[number], 1.0
        if len(own) < 100:
            continue
        # Each change of a word touches that many shingles of either text, at most.
        step = max(1, round(len(own) * 0.01 / SHINGLE_WORDS))
        while True:
            for _ in range(step):
                at = draw.randrange(len(words))
                change = draw.randrange(3)
                words[at : at + (change != 1)] = [] if change == 2 else [f"new{draw.random()}"]
            changed = " ".join(words)
            found = jaccard(own, shingle([changed]).of(0))
            if found < least:
                break
            copy, similarity = changed, found
        if similarity < 1:
            yield number, copy, similarity


def said(python: str, script: str, *arguments: str | Path) -> dict[str, Any]:
    """What a script prints as JSON."""
    done = subprocess.run(
        [python, str(HERE / script), *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=3600,
        check=False,
    )
    if done.returncode:
        sys.exit(f"{script} failed:\n{done.stderr[-2000:]}")
    return dict(json.loads(done.stdout.splitlines()[-1]))


def show(
    name: str,
    size: float,
    result: dict[str, Any],
    everything: list[str],
    copies: list[tuple[int, str, float]],
) -> None:
    kept = {int(number) for number in result["kept"]}
    print(
        f"\n{name}: {size / result['seconds']:.1f} MB a second of CPU, {len(kept):,} stay, "
        f"at most {result['peak'] / 1e6:.0f} MB"
    )
    first = len(everything) - len(copies)
    gone: Counter[float] = Counter()
    all_of: Counter[float] = Counter()
    for place, (original, _, similarity) in enumerate(copies):
        band = max(edge for edge in EDGES if edge <= similarity)
        all_of[band] += 1
        gone[band] += not {original, first + place} <= kept
    for band in sorted(all_of):
        print(f"  from .{round(band * 100)}: {gone[band]}/{all_of[band]} of the planted pairs go")
    wrong, removed = unlike(everything, kept)
    print(f"  of {removed:,} removed, {wrong:,} have no copy of .8 that stays")


def unlike(everything: list[str], kept: set[int]) -> tuple[int, int]:
    """Removed documents that are like none that stays, and removed documents."""
    sets = [shingle([text]).of(0) for text in everything]
    equal = {" ".join(everything[i].split()) for i in kept}
    where: dict[int, list[int]] = defaultdict(list)
    for number in kept:
        for one in sets[number].tolist():
            where[one].append(number)
    removed = [i for i in range(len(everything)) if i not in kept]
    wrong = 0
    for number in removed:
        if " ".join(everything[number].split()) in equal:
            continue
        shared: Counter[int] = Counter()
        for one in sets[number].tolist():
            shared.update(where.get(one, ()))
        best = max(
            (
                count / (len(sets[number]) + len(sets[other]) - count)
                for other, count in shared.items()
            ),
            default=0.0,
        )
        wrong += bool(best < SIMILARITY - np.finfo(float).eps)
    return wrong, len(removed)


if __name__ == "__main__":
    main()
