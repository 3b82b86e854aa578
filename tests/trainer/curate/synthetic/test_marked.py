"""What a model wrote goes on as a source like any other, and stays marked."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import zstandard

from cupola_api.artifact import digest_of
from cupola_trainer import storage
from cupola_trainer.curate import work

from .test_generate import generate


def test_its_documents_and_their_origin_are_marked(
    make: Any, pipeline: Any, documents: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = generate(make(), monkeypatch)
    tuned = {"kind": "FineTune", "name": "tuned", "digest": digest_of("tuned")}
    made_by = {
        "model": found.model,
        "prompts": found.prompts,
        "digest": found.digest,
        "inputs": [tuned],
    }
    written = {"name": "written", "uri": f"{found.uri}/documents", "format": "Jsonl"}
    pages = {"name": "pages", "uri": documents.as_uri(), "format": "Jsonl"}
    run = pipeline.listed([pages, {**written, "made_by": made_by}], documents=True)
    outcome = pipeline.curate(run)
    assert outcome.dataset.documents_kept == 30
    folder = work.artifact_folder(run)
    assert isinstance(folder, Path)
    lines = []
    for path in sorted((folder / "documents").iterdir()):
        packed = zstandard.ZstdDecompressor().decompressobj().decompress(path.read_bytes())
        lines += [json.loads(line) for line in packed.splitlines()]
    marks = {(line["source"], line.get("synthetic")) for line in lines}
    assert marks == {("pages", None), ("written", "toy")}
    manifest, _ = storage.read_manifest(folder)
    origins = {(one.kind, one.name): one.digest for one in manifest.inputs}
    assert origins["Synthetic", "written"] == found.digest
    assert origins["FineTune", "tuned"] == tuned["digest"]
