"""Mixtures of good and bad files: what goes in is kept, dropped by a rule, or listed as broken."""

from __future__ import annotations

import gzip
import json
import tempfile
from argparse import Namespace
from collections.abc import Callable
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import zstandard
from hypothesis import given, settings
from hypothesis import strategies as st

from cupola_api.dataset import Curation, Format
from cupola_api.run import CurateRun, ListRun
from cupola_trainer import curate, storage
from cupola_trainer.curate import listing, quarantine, rows, work
from cupola_trainer.curate.records import BROKEN, DAMAGED

from .archives import HTML, answer, record, write

CURATION = Curation(max_bad=1)
"""Made here, as the library that checks its rules sets the recursion limit, which hypothesis minds."""

PACKERS: dict[str, Callable[[bytes], bytes]] = {
    "": bytes,
    ".gz": lambda data: gzip.compress(data, mtime=0),
    ".zst": zstandard.compress,
}
RECORDS = st.sampled_from([None, "missing", "broken", "latin", "nul", "blank"])


def line(text: str, fault: str | None) -> bytes:
    match fault:
        case "missing":
            return b'{"body": "x"}'
        case "broken":
            return b'{"text": "secret'
        case "latin":
            return b'{"text": "secret \xe9"}'
        case "nul":
            return b'{"text": "secret \\u0000"}'
        case "blank":
            return b'{"text": " "}'
    return json.dumps({"text": text}).encode()


def parquet(folder: Path, texts: list[str | None]) -> bytes:
    path = folder / ".table"
    pl.DataFrame({"text": texts}, schema={"text": pl.String}).write_parquet(path, row_group_size=2)
    return path.read_bytes()


@st.composite
def damage(draw: st.DrawFn) -> Callable[[bytes], bytes]:
    """What happens to a file before it is read: mostly nothing."""
    kind = draw(st.sampled_from(["whole", "whole", "cut", "hole", "other", "none"]))
    share = draw(st.floats(0, 1))

    def apply(data: bytes) -> bytes:
        at = int(share * len(data))
        match kind:
            case "cut":
                return data[:at]
            case "hole":
                return data[:at] + b"\xff" * 40 + data[at + 40 :]
            case "other":
                return b"%PDF-1.7 secret\n"
            case "none":
                return b""
        return data

    return apply


FILES = st.lists(
    st.tuples(
        st.sampled_from(["Jsonl", "Jsonl.gz", "Jsonl.zst", "Text", "Parquet", "Warc.gz", "Wet"]),
        st.lists(RECORDS, max_size=6),
        damage(),
    ),
    min_size=1,
    max_size=8,
)


@settings(max_examples=15, deadline=None)
@given(FILES)
def test_documents_read_are_kept_dropped_or_quarantined(
    files: list[tuple[str, list[str | None], Any]],
) -> None:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        whole: dict[str, set[str]] = {}
        touched: set[str] = set()
        # Of each format a good one too: that no record at all has a text would be a failure.
        more = [(kind, [None], lambda data: data) for kind in {kind for kind, _, _ in files}]
        for number, (kind, faults, damaged) in enumerate([*files, *more]):
            form, _, suffix = kind.partition(".")
            path = (
                folder
                / form
                / f"{number}.{form.lower().replace('text', 'txt')}{suffix and '.'}{suffix}"
            )
            path.parent.mkdir(exist_ok=True)
            texts = {f"file {number} document {i}": fault for i, fault in enumerate(faults)}
            data = _content(path, form, suffix, texts, folder)
            path.write_bytes(damaged(data))
            good = {text for text, fault in texts.items() if fault is None}
            one = form == "Text"  # a file is one document
            whole[path.name] = good if len(good) == len(texts) or not one else set()
            if path.read_bytes() != data:
                touched.add(path.name)
        facts, kept, listed = _cleaned(folder)
    counted = {name: sum(one[name] for one in facts) for name in ("read", "kept")}
    lost = sum(sum(one[name].values()) for one in facts for name in ("dropped", "quarantined"))
    assert counted["read"] == len(kept) + lost
    assert counted["kept"] == len(kept)
    known = {*BROKEN, *DAMAGED}
    assert all(set(one["quarantined"]) <= known for one in facts)
    assert "secret" not in json.dumps(listed)
    named = {entry["file"] for entry in listed}
    for path_name, texts in whole.items():
        there = {text for text in texts if any(text in one for one in kept)}
        if path_name not in touched:
            assert there == texts
        elif there != texts and not path_name.endswith((".txt", ".jsonl", ".wet")):
            # (A plain file that is cut between two records, or empty, is a whole one.)
            assert path_name in named


def _content(
    path: Path, form: str, suffix: str, texts: dict[str, str | None], folder: Path
) -> bytes:
    if form == "Text":
        return "\n".join(texts).encode() + b"\xff" * any(texts.values())
    if form == "Parquet":
        return parquet(folder, [None if fault else text for text, fault in texts.items()])
    if form == "Jsonl":
        data = b"\n".join(line(text, fault) for text, fault in texts.items())
        return PACKERS[f".{suffix}" if suffix else ""](data)
    make = _page if form == "Warc" else _text
    return write(path, [make(text, fault) for text, fault in texts.items()]).read_bytes()


def _page(text: str, fault: str | None) -> bytes:
    return (
        record("response", b"secret") if fault else record("response", answer(HTML % text.encode()))
    )


def _text(text: str, fault: str | None) -> bytes:
    return record("conversion", b"secret \xff" if fault else text.encode())


def _cleaned(folder: Path) -> tuple[list[dict[str, Any]], list[str], list[dict[str, Any]]]:
    """What `clean` counted of all sources, the texts it kept, and what it listed as broken."""
    sources = [
        {"name": form.lower(), "uri": (folder / form).as_uri(), "format": form}
        for form in Format
        if (folder / form).is_dir()
    ]
    common = {
        "namespace": "n",
        "name": "d",
        "output": (folder / "out").as_uri(),
        "sources": sources,
    }
    found = listing.list_sources(ListRun.model_validate(common)).listing
    assert found is not None
    run = CurateRun.model_validate(
        common
        | {"listing": found.uri, "listing_digest": found.digest, "parts": found.parts}
        | {"curation": CURATION, "vocab_size": 512, "validation": 0.1, "seed": 0}
    )
    assert run.parts == 1
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("JOB_COMPLETION_INDEX", "0")
        curate.main(run, Namespace(stage="clean"))
    place = work.stage_folder(run, "clean", 0)
    assert isinstance(place, Path)
    facts = storage.read_manifest(place)[0].facts["sources"]
    texts = [text for path in place.glob("rows-*") for text in pl.read_parquet(path)["text"]]
    path = place / quarantine.FILE
    lines = path.read_text().splitlines() if path.exists() else []
    assert rows.files(place, rows.PREFIX) or not texts
    return facts, texts, [json.loads(one) for one in lines]
