"""Documents in are documents out: kept, dropped by a rule or quarantined, whatever is in the sources."""

from __future__ import annotations

import gzip
import json
import random
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import zstandard

from cupola_trainer.curate import work

from .planted import document

MENU = "Home, products, about us, contact, terms and conditions of use."
POISON: list[Callable[[str], bytes]] = [
    lambda _: b"{",
    lambda _: b"[1]",
    lambda _: b'{"body": "x"}',
    lambda _: b'{"text": "\xff"}',
    lambda _: b'{"text": " "}',
    lambda _: b'{"text": "a\\u0000b"}',
    lambda text: json.dumps({"text": text}).encode()[:-9],
    lambda _: b"[" * 3000,
]
PACKERS: dict[str, Callable[[bytes], bytes]] = {
    ".jsonl": lambda data: data,
    ".jsonl.gz": lambda data: gzip.compress(data, mtime=0),
    ".jsonl.zst": zstandard.compress,
}


def corpus(draw: random.Random, folder: Path) -> int:
    """Files of records, many of them broken, short, or copies; returns the whole lines in them."""
    texts = [f"{document(draw, draw.randrange(2, 90))}\n{MENU}" for _ in range(40)]
    total = 0
    for number, suffix in enumerate([*PACKERS, *PACKERS]):
        lines = []
        for _ in range(draw.randrange(1, 40)):
            text = draw.choice(texts)
            if draw.random() < 0.3:
                text = f"{text} {draw.random()}"
            if draw.random() < 0.25:
                lines.append(draw.choice(POISON)(text))
            else:
                lines.append(json.dumps({"text": text, "mail": "a@mail.org"}).encode())
        total += len(lines)
        (folder / f"{number}{suffix}").write_bytes(PACKERS[suffix](b"\n".join(lines)))
    return total


@pytest.mark.parametrize("seed", range(2))
def test_every_document_is_kept_dropped_or_quarantined(
    pipeline: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seed: int
) -> None:
    monkeypatch.setattr("cupola_trainer.curate.listing._LEAST", 4000)
    monkeypatch.setattr("cupola_trainer.curate.listing._MOST", 4000)
    draw = random.Random(seed)
    folder = tmp_path / "web"
    folder.mkdir()
    total = corpus(draw, folder)
    # Half a file is one document more that nobody read.
    torn = folder / "torn.jsonl.gz"
    torn.write_bytes(gzip.compress(b'{"text": "one"}\n' * 99)[: draw.randrange(12, 30)])
    source = {"name": "web", "uri": folder.as_uri(), "format": "Jsonl"}
    curation = {
        "quality": {"skip": ["stop-words"]},
        "pii": {},
        "dedup": {"lines": {"minLeft": draw.choice([20, 400])}},
        "maxBad": 1,
    }
    run = pipeline.listed([source], curation=curation, documents=True)
    assert run.parts > 1
    summary = pipeline.curate(run).dataset
    artifact = work.artifact_folder(run)
    assert isinstance(artifact, Path)
    unpack = zstandard.ZstdDecompressor().stream_reader
    packed = sorted((artifact / "documents").iterdir())
    written = b"".join(unpack(path.read_bytes()).read() for path in packed).splitlines()
    told = json.loads((artifact / "curation.json").read_text())
    tally = told["sources"]["web"]
    dropped, quarantined = Counter(tally["dropped"]), Counter(tally["quarantined"])
    assert quarantined["cut-short"] == 1
    of_torn = summary.documents_read - total - 1
    assert 0 <= of_torn < 99
    assert summary.documents_read == len(written) + dropped.total() + quarantined.total()
    assert summary.documents_kept == tally["kept"] == len(written) > 0
    assert sum(split["documents"] for split in told["splits"].values()) == len(written)
    listed = [json.loads(one) for one in (artifact / "quarantine.jsonl").read_text().splitlines()]
    assert sum(one["documents"] for one in listed) == quarantined.total()
    assert {"near-duplicate", "exact-duplicate"} & {*dropped}
    assert "duplicate-line" in tally.get("lines", {}) or "few-new-lines" in dropped
