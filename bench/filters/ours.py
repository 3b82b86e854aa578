"""Cupola's filters on a folder of documents: which documents each rule alone drops, as JSON.

    python ours.py FOLDER

FineWeb's rules look at what the rules for lines leave of a document, as in a Dataset with the rules
Web, so what is left is printed too.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np

from cupola_api.filters import QUALITY_RULES, BlockList, Quality, QualityRules, rules_of
from cupola_trainer.curate.batches import batches
from cupola_trainer.curate.filters import classifier, language, lines
from cupola_trainer.curate.filters.blocking import Blocking
from cupola_trainer.curate.filters.decontaminating import Decontaminating
from cupola_trainer.curate.filters.quality import AFTER, BEFORE, TOO_LOW, Measure, judge
from cupola_trainer.curate.texts import Texts

BATCH = 1 << 18
WEB = QualityRules.WEB


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("folder", type=Path, help="of JSON lines")
    texts = documents(parser.parse_args().folder)
    parts = [*batches(texts, BATCH)]
    thresholds = {name: Quality(rules=WEB).threshold(name) or 0 for name in rules_of(WEB)}
    wanted = {name: value for name, value in thresholds.items() if name.startswith("line-")}
    cleaned = [text for batch in parts for text in lines.clean(batch, wanted)[0]]
    dropped = {
        **alone(texts, (*chain(*BEFORE[WEB]), *AFTER[WEB][:3])),
        **alone(cleaned, AFTER[WEB][3:]),
        "min-words": [i for i, text in enumerate(texts) if len(text.split()) < 50],
    }
    dropped["symbols"] = sorted({*dropped.pop("hash-signs"), *dropped.pop("dots")})
    seconds = {name: min(timed(step, parts) for _ in range(3)) for name, step in steps().items()}
    size = sum(len(text.encode()) for text in texts)
    json.dump(
        {"bytes": size, "seconds": seconds, "dropped": dropped, "cleaned": cleaned}, sys.stdout
    )


def documents(folder: Path) -> list[str]:
    """The texts of all records, in order; those without any text are left out."""
    found = []
    for path in sorted(folder.glob("*.jsonl")):
        with path.open(encoding="utf-8") as file:
            found += [json.loads(line)["text"] for line in file]
    return [text for text in found if text.strip()]


def alone(texts: list[str], measures: tuple[Measure, ...]) -> dict[str, list[int]]:
    """For each rule the documents that it drops, whatever other rules say."""
    dropped: dict[str, list[int]] = {}
    first = 0
    for batch in batches(texts, BATCH):
        laid = Texts(batch)
        for measure in measures:
            for name, values in measure(laid).items():
                limit = float(QUALITY_RULES[name].default)
                broken = values < limit if name in TOO_LOW else values > limit
                dropped.setdefault(name, []).extend((np.flatnonzero(broken) + first).tolist())
        first += len(batch)
    return dropped


def steps() -> dict[str, Callable[[list[str]], Any]]:
    """What is timed: each takes a batch."""
    pages = Quality(rules="C4", skip=["line-unfinished"])
    words, exam = Blocking(), Decontaminating(13)
    rng = np.random.default_rng(0)
    entries = [f"{a}x{b}" for a, b in rng.integers(0, 9999, (400, 2)).tolist()]
    words.add(BlockList(name="w", uri="store:///w", matches="Words"), entries)
    numbers = rng.integers(0, 99999, (14_000, 40)).tolist()
    exam.add("e", [[" ".join(map(str, row)) for row in numbers]])
    examples = [" ".join(map(str, row)) for row in numbers[:200]]
    learned = classifier.train([examples[:100]], [examples[100:]])
    return {
        "c4": lambda batch: judge(batch, pages),
        "fineweb": lambda batch: [measure(Texts(batch)) for measure in AFTER[WEB][3:]],
        "web": lambda batch: judge(batch, Quality(rules=WEB)),
        "language": language.identify,
        "words": lambda batch: words.judge(batch, [None] * len(batch)),
        "benchmark": exam.judge,
        "classifier": learned.scores,
    }


def timed(step: Callable[[list[str]], Any], batches: list[list[str]]) -> float:
    """Seconds of CPU of a step over all documents."""
    step(batches[0])
    begin = time.process_time()
    for batch in batches:
        step(batch)
    return time.process_time() - begin


if __name__ == "__main__":
    main()
