"""A model that Cupola trained writes a source of the next Dataset: `make soak`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml
import zstandard

from .conftest import Job

pytestmark = [pytest.mark.soak, pytest.mark.timeout(600)]


def resource(kind: str, name: str, **spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "cupola.dev/v1alpha1",
        "kind": kind,
        "metadata": {"name": name},
        "spec": spec,
    }


def test_a_model_of_cupola_writes_for_the_next_dataset(tmp_path: Path) -> None:
    pages = {"name": "pages", "uri": "store:///pages", "format": "Jsonl"}
    written = {
        "model": {"pretrainJob": "small"},
        "prompts": [{"name": "on", "text": "{text}"}],
        "seeds": {"source": "pages", "maxCharacters": 60},
        "documents": 12,
        "maxTokens": 16,
        "concurrency": 4,
    }
    training = {
        "model": {"shape": {"layers": 1, "hidden": 32, "heads": 2}, "context": 64},
        "tokens": "5K",
        "batch": "512",
    }
    job = Job(tmp_path / "work", tmp_path / "all.yaml")
    (job.workdir / "store/pages").mkdir(parents=True)
    text = "The fox {0} jumps over dog {1} and sleeps in the barn by the river until morning."
    lines = [json.dumps({"text": text.format(i, i * 7)}) for i in range(300)]
    (job.workdir / "store/pages/a.jsonl").write_text("\n".join(lines))
    resources = [
        resource(
            "Dataset",
            "first",
            sources=[pages],
            tokenizer={"train": {"vocabSize": 512}},
            validation=0.1,
        ),
        resource("PretrainJob", "small", datasets=[{"name": "first"}], **training),
        resource(
            "Dataset",
            "second",
            sources=[pages, {"name": "made-up", "synthetic": written}],
            tokenizer={"dataset": "first"},
            keepDocuments=True,
        ),
    ]
    job.files.write_text(yaml.safe_dump_all(resources))
    code, output = job.run()
    assert code == 0, output
    status = job.get("Dataset", "second")["status"]
    made = status["synthetic"]
    assert made["model"] == "PretrainJob small"
    assert made["requests"] == made["made"] + made["empty"] == 12
    model = job.get("PretrainJob", "small")["status"]["artifact"]
    artifact = job.artifact("Dataset", "second")
    inputs = json.loads((artifact / "manifest.json").read_text())["inputs"]
    digests = {(one["kind"], one["name"]): one["digest"] for one in inputs}
    assert digests["PretrainJob", "small"] == model["digest"]
    marks = [
        json.loads(line).get("synthetic")
        for path in sorted((artifact / "documents").iterdir())
        for line in zstandard.ZstdDecompressor()
        .decompressobj()
        .decompress(path.read_bytes())
        .splitlines()
    ]
    assert marks.count("PretrainJob small") == made["made"]
    assert marks.count(None) == 300
