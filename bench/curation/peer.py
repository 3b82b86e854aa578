"""datatrove on the corpus, one core: seconds of CPU of each stage and of the chain, as JSON.

    python peer.py PART WHOLE TOKENIZER SCRATCH

Runs in an environment of its own, see `make bench-curation`. The stages are those that Cupola has,
with datatrove's defaults, which are the rules of the papers: Gopher quality, Gopher repetition,
private data (e-mail and IP addresses, all it knows), near-dedup in 14 bands of 8 hashes of word
5-grams, and encoding with the tokenizer that Cupola trained. The stages alone take the folder PART,
the chain takes WHOLE; what its filters drop is printed too, with the rule.
"""

from __future__ import annotations

import argparse
import json
import logging
import shutil
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, Self

from datatrove.data import Document
from datatrove.pipeline.dedup import (
    MinhashDedupBuckets,
    MinhashDedupCluster,
    MinhashDedupFilter,
    MinhashDedupSignature,
)
from datatrove.pipeline.filters import GopherQualityFilter, GopherRepetitionFilter
from datatrove.pipeline.formatters import PIIFormatter
from datatrove.pipeline.readers import JsonlReader
from datatrove.pipeline.tokens import DocumentTokenizer
from datatrove.pipeline.writers import JsonlWriter
from datatrove.utils.logging import logger

BANDS = 14


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("part", type=Path, help="folder of JSON lines")
    parser.add_argument("whole", type=Path, help="folder of JSON lines")
    parser.add_argument("tokenizer", type=Path, help="tokenizer.json")
    parser.add_argument("scratch", type=Path)
    asked = parser.parse_args()
    logger.remove()
    logging.disable()
    shutil.rmtree(asked.scratch, ignore_errors=True)
    documents = list(JsonlReader(str(asked.part)).run(None, 0, 1))
    warm(documents[:3])
    seconds = alone(documents, asked.scratch / "alone", asked.tokenizer)
    del documents
    dropped = Dropped()
    whole, left = timed(
        lambda: chain(asked.whole, asked.scratch / "chain", asked.tokenizer, dropped)
    )
    json.dump(
        {"seconds": {**seconds, "chain": whole}, "left": left, "dropped": dropped.rules}, sys.stdout
    )


class Dropped:
    """Notes what filters drop: a writer that only remembers names and rules."""

    def __init__(self) -> None:
        self.rules: dict[str, str] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        pass

    def write(self, document: Document, rank: int) -> None:
        """As datatrove calls a writer."""
        del rank
        self.rules[document.id] = str(document.metadata["filter_reason"])


def warm(documents: list[Document]) -> None:
    """What is loaded at the first document (a splitter of words) is not counted."""
    for step in (GopherQualityFilter(), GopherRepetitionFilter(), PIIFormatter()):
        list(step.run([Document(d.text, d.id) for d in documents], 0, 1))


def alone(documents: list[Document], scratch: Path, tokenizer: Path) -> dict[str, float]:
    """Seconds of each stage over all documents."""

    def fresh() -> Iterator[Document]:
        for one in documents:
            yield Document(one.text, one.id, metadata=dict(one.metadata))

    stages: dict[str, Callable[[], object]] = {
        "quality": lambda: exhaust(GopherQualityFilter().run(fresh(), 0, 1)),
        "repetition": lambda: exhaust(GopherRepetitionFilter().run(fresh(), 0, 1)),
        "pii": lambda: exhaust(PIIFormatter().run(fresh(), 0, 1)),
        "dedup": lambda: exhaust(unique(fresh, scratch / "dedup")),
        "tokenise": lambda: encode(fresh(), scratch / "tokens", tokenizer),
    }
    return {name: timed(stage)[0] for name, stage in stages.items()}


def unique(documents: Callable[[], Iterator[Document]], scratch: Path) -> Iterator[Document]:
    """The four stages of near-dedup; the documents that stay."""
    signatures, buckets, removed = (
        str(scratch / part) for part in ("signatures", "buckets", "removed")
    )
    exhaust(MinhashDedupSignature(signatures).run(documents(), 0, 1) or ())
    for band in range(BANDS):
        exhaust(MinhashDedupBuckets(signatures, buckets).run(None, band, BANDS) or ())
    exhaust(MinhashDedupCluster(buckets, removed).run(None, 0, 1) or ())
    yield from MinhashDedupFilter(removed).run(documents(), 0, 1)


def encode(documents: Iterable[Document], target: Path, tokenizer: Path) -> None:
    step = DocumentTokenizer(
        str(target), str(tokenizer), eos_token="<|endoftext|>", seed=0, shuffle_documents=True
    )
    exhaust(step.run(documents, 0, 1) or ())


def chain(source: Path, scratch: Path, tokenizer: Path, dropped: Dropped) -> dict[str, int]:
    """From JSON lines to shuffled tokens, as its example for FineWeb does it; documents that stay."""
    left: Counter[str] = Counter()

    def counted(stage: str, documents: Iterable[Document]) -> Iterator[Document]:
        for one in documents:
            left[stage] += 1
            yield one

    texts = counted("read", JsonlReader(str(source)).run(None, 0, 1))
    once = GopherRepetitionFilter(exclusion_writer=dropped).run(texts, 0, 1)
    good = counted("after quality", GopherQualityFilter(exclusion_writer=dropped).run(once, 0, 1))
    clean = str(scratch / "clean")
    exhaust(JsonlWriter(clean).run(PIIFormatter().run(good, 0, 1), 0, 1))
    alone = unique(lambda: JsonlReader(clean).run(None, 0, 1), scratch / "dedup")
    encode(counted("after dedup", alone), scratch / "tokens", tokenizer)
    return left


def exhaust(documents: Iterable[object]) -> None:
    for _ in documents:
        pass


def timed(work: Callable[[], Any]) -> tuple[float, Any]:
    begun = time.process_time()
    result = work()
    return time.process_time() - begun, result


if __name__ == "__main__":
    main()
