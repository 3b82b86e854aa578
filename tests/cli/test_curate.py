"""`cupola curate`: what it refuses; what it says of a Dataset that was curated before."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml
from typer.testing import CliRunner, Result

from cupola_api import API_VERSION
from cupola_operator.cli import app


def _write(folder: Path, *values: dict[str, Any]) -> Path:
    path = folder / "data.yaml"
    path.write_text(yaml.safe_dump_all(values))
    return path


def _dataset(uri: str, **spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": API_VERSION,
        "kind": "Dataset",
        "metadata": {"name": "docs"},
        "spec": {"sources": [{"name": "docs", "uri": uri, "format": "Jsonl"}], **spec},
    }


def _curate(*arguments: object) -> Result:
    result = CliRunner().invoke(app, ["curate", *map(str, arguments)])
    assert "Traceback" not in result.output
    return result


def test_another_kind_is_refused_with_the_command_for_it(tmp_path: Path) -> None:
    job = {
        "apiVersion": API_VERSION,
        "kind": "PretrainJob",
        "metadata": {"name": "base"},
        "spec": {"datasets": [{"name": "docs"}], "model": {"size": "1M"}},
    }
    path = _write(tmp_path, _dataset("file:///data"), job)
    result = _curate(path, "--workdir", tmp_path / "work")
    assert result.exit_code == 2
    assert "is of kind PretrainJob" in result.stderr
    assert f"cupola run -f {path}" in result.stderr
    assert not (tmp_path / "work").exists()


def test_a_mistake_in_the_file_is_one_sentence(tmp_path: Path) -> None:
    path = _write(tmp_path, _dataset("file:///data", validation=2))
    result = _curate(path, "--workdir", tmp_path / "work")
    assert result.exit_code == 2
    assert "spec.validation" in result.stderr


@pytest.mark.local
def test_it_says_what_was_kept_and_dropped_and_where_the_documents_are(tmp_path: Path) -> None:
    texts = [f"The furnace number {n} melts iron for bell {n * n}." for n in range(300)]
    lines = [json.dumps({"text": text}) for text in [*texts, texts[0]]]
    (tmp_path / "docs.jsonl").write_text("\n".join(lines))
    spec = {"curation": {"dedup": {}}, "tokenizer": {"train": {"vocabSize": 512}}}
    path = _write(tmp_path, _dataset((tmp_path / "docs.jsonl").as_uri(), **spec))
    result = _curate(path, "--workdir", tmp_path / "work")
    assert result.exit_code == 0, result.output
    assert "Dataset/docs: 301 documents read, 300 kept" in result.output
    assert "1 dropped exact-duplicate" in " ".join(result.output.split())
    folder = Path(result.output.split()[-1])
    assert [path.name for path in (folder / "documents").iterdir()] == ["00000.jsonl.zst"]
    again = _curate(path, "--workdir", tmp_path / "work")
    assert again.exit_code == 0
    assert "300 kept" in again.output
    shutil.rmtree(folder)
    gone = _curate(path, "--workdir", tmp_path / "work")
    assert "is gone; raise spec.revision" in gone.stderr
