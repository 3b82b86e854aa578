from __future__ import annotations

import json
from argparse import Namespace
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

from cupola_api.dataset import Curation, NamedFile
from cupola_api.outcome import Outcome
from cupola_api.run import CurateRun, ListRun
from cupola_trainer import curate
from cupola_trainer.storage import S3Place, uri_of


class Pipeline:
    """The stages of one Dataset, run one after the other in this process."""

    def __init__(self, output: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.output: Path | S3Place = output
        self._monkeypatch = monkeypatch

    def listed(self, sources: list[dict[str, Any]], **fields: Any) -> CurateRun:
        """List the sources; the run that curates them."""
        common = {"namespace": "n", "name": "d", "output": uri_of(self.output), "sources": sources}
        besides = Curation.model_validate(fields.get("curation", {})).files()
        if given := fields.get("tokenizer_file"):
            besides = [*besides, NamedFile.model_validate(given)]
        run = ListRun.model_validate({**common, "files": besides or None})
        found = curate.main(run, Namespace(stage="list")).listing
        assert found is not None
        defaults = {"curation": {}, "vocab_size": 512, "validation": 0.1, "seed": 0}
        return CurateRun.model_validate(
            {
                **common,
                "listing": found.uri,
                "listing_digest": found.digest,
                "parts": found.parts,
                **defaults,
                **fields,
            }
        )

    def stage(self, run: CurateRun, stage: str, part: int | None = None) -> Outcome:
        """One pod."""
        self._monkeypatch.setenv("JOB_COMPLETION_INDEX", "" if part is None else str(part))
        return curate.main(run, Namespace(stage=stage))

    def dedup(self, run: CurateRun) -> None:
        """All pods of the stage."""
        for number in range(run.ranges):
            self.stage(run, "dedup", number)

    def curate(self, run: CurateRun, order: Iterable[int] | None = None) -> Outcome:
        """All stages after the listing; the parts in the order given."""
        parts = list(range(run.parts)) if order is None else list(order)
        for part in parts:
            self.stage(run, "clean", part)
        self.dedup(run)
        for part in parts:
            self.stage(run, "tokenise", part)
        return self.stage(run, "publish")


@pytest.fixture
def pipeline(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Pipeline:
    return Pipeline(tmp_path / "out", monkeypatch)


@pytest.fixture
def sources(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """Two sources in five parts: records with copies and faults, and text files."""
    monkeypatch.setattr("cupola_trainer.curate.listing._LEAST", 60_000)
    folder = tmp_path / "data"
    (folder / "web").mkdir(parents=True)
    (folder / "notes").mkdir()
    number = 0
    for file in range(4):
        lines = []
        for _ in range(150):
            number += 1
            words = [f"word{(number * 31 + i * i * 17) % 997}" for i in range(40)]
            text = " ".join(words)
            lines.append(json.dumps({"text": text, "id": number}))
            if number % 10 == 0:  # an exact copy but for white space
                lines.append(json.dumps({"text": text.replace(" ", "  ")}))
            if number % 15 == 0:  # a near copy
                lines.append(json.dumps({"text": " ".join([*words, "and", "more"])}))
        lines += ["{broken", '{"body": "no text"}']
        (folder / "web" / f"{file}.jsonl").write_text("\n".join(lines))
    for i in range(5):
        text = f"Note {i} about the furnace, from ann{i}@mail.org and the foundry.\n" * (i + 1)
        (folder / "notes" / f"{i}.txt").write_text(text)
    return [
        {"name": "web", "uri": (folder / "web").as_uri(), "format": "Jsonl"},
        {"name": "notes", "uri": (folder / "notes").as_uri(), "format": "Text"},
    ]
