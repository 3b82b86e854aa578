"""The documents that stay, for people and other tools to read: JSON lines, compressed.

`documents/NNNNN.jsonl.zst` holds the documents of token shard NNNNN, in its order, an object a line:

    id      32 hex digits, a hash of the text without white space and case
    source  name of the source
    split   train or validation
    text    as it is trained on
    input, output   of a document that is a prompt and its answer
    url, date       where it was fetched, and when, if the source says so
    synthetic       the model that wrote it, if one did
"""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import zstandard

if TYPE_CHECKING:
    import polars as pl

from cupola_api.dataset import Source

FOLDER = "documents"

_LEVEL = 3
"""A quarter to a third of the text, at hundreds of megabytes a second."""


def write_documents(
    folder: Path, index: int, documents: pl.DataFrame, sources: Sequence[Source]
) -> None:
    """Write those of shard `index`; `sources`: the run's, in order."""
    folder.mkdir(exist_ok=True)
    packer = zstandard.ZstdCompressor(level=_LEVEL)
    columns = ("high", "low", "source", "held", "text", "input", "output", "url", "date")
    with (
        (folder / name(index)).open("wb") as raw,
        packer.stream_writer(raw) as packed,
        io.TextIOWrapper(packed, encoding="utf-8", newline="\n") as lines,
    ):
        for high, low, source, held, text, prompt, answer, url, date in documents.select(
            columns
        ).iter_rows():
            line = {
                "id": f"{high:016x}{low:016x}",
                "source": sources[source].name,
                "split": "validation" if held else "train",
                "text": text,
            }
            if prompt is not None:
                line |= {"input": prompt, "output": answer}
            line |= {k: v for k, v in (("url", url), ("date", date)) if v}
            if wrote := sources[source].made_by:
                line["synthetic"] = wrote.model
            lines.write(json.dumps(line, ensure_ascii=False) + "\n")


def name(index: int) -> str:
    """The file of a shard."""
    return f"{index:05d}.jsonl.zst"
