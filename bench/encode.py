"""Encoding: MB of text a second of a core, beside `tokenizers`, and whether the ids are the same.

    .venv/bin/python bench/encode.py

Trains a tokenizer of 32,000 entries by each algorithm on the Python source of the installed packages,
encodes a part of it by both, then text in which every code point of Unicode stands among letters, digits and
spaces. Times are CPU times; both use one processor.
"""

from __future__ import annotations

import os
import sys
import sysconfig
import time
from pathlib import Path

from tokenizers import Tokenizer

from cupola_api.dataset import TokenizerAlgorithm
from cupola_trainer.curate import tokenizer
from cupola_trainer.curate.encode import Encoder

TRAINED_ON = 12 << 20
MEASURED = 24 << 20
BATCH = 1 << 20


def texts(size: int) -> list[str]:
    """Files of the installed packages, spread over them."""
    found, total = [], 0
    for path in sorted(Path(sysconfig.get_path("purelib")).rglob("*.py"))[::7]:
        text = path.read_bytes().decode(errors="replace")
        found.append(text)
        total += len(text)
        if total >= size:
            break
    return found


def unicode_text() -> list[str]:
    """Every code point between neighbours of all kinds."""
    points = [*range(0xD800), *range(0xE000, 0x110000)]
    return [
        "".join(
            f"a{chr(point)}b {chr(point)} 1{chr(point)}\n" for point in points[at : at + 10_000]
        )
        for at in range(0, len(points), 10_000)
    ]


def batches(found: list[str]) -> list[list[str]]:
    made: list[list[str]] = [[]]
    for text in found:
        made[-1].append(text)
        if sum(map(len, made[-1])) >= BATCH:
            made.append([])
    return made


def compare(name: str, found: list[str], encoder: Encoder, trained: Tokenizer) -> int:
    """How many texts have other ids; prints the speed of both."""
    size, differ = sum(len(text.encode()) for text in found), 0
    seconds = {"ours": 0.0, "theirs": 0.0}
    for batch in batches(found):
        begun = time.process_time()
        ours = encoder.encode(batch)
        between = time.process_time()
        theirs = trained.encode_batch_fast(batch, add_special_tokens=False)
        seconds["ours"] += between - begun
        seconds["theirs"] += time.process_time() - between
        differ += sum(a[:-1].tolist() != b.ids for a, b in zip(ours, theirs, strict=True))
    rates = {name: size / taken / 1e6 for name, taken in seconds.items()}
    print(
        f"  {name}, {size / 1e6:.0f} MB: {rates['ours']:.1f} MB/s, tokenizers "
        f"{rates['theirs']:.1f} MB/s: {rates['ours'] / rates['theirs']:.1f} times as fast"
    )
    return differ


def main() -> None:
    os.environ |= {"RAYON_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"}
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    differ = 0
    for algorithm in TokenizerAlgorithm:
        trained = tokenizer.train(iter(batches(texts(TRAINED_ON))), 32_000, algorithm)
        trained.encode_special_tokens = True
        begun = time.process_time()
        encoder = Encoder(trained)
        print(f"{algorithm}: ready after {time.process_time() - begun:.2f} s")
        for name, found in (("source code", texts(MEASURED)), ("all of Unicode", unicode_text())):
            differ += compare(name, found, encoder, trained)
    print(f"{differ} texts with other ids")
    sys.exit(differ > 0)


if __name__ == "__main__":
    main()
