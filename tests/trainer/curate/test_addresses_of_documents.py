"""Where documents are from: kept with them, without private data, and counted by domain."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import zstandard

from cupola_api.run import CurateRun

from .conftest import Pipeline

URLS = {
    "https://www.forum.example.org/t/12": "https://www.forum.example.org/t/12",
    "https://joe:Xk29fjsl2@files.corp.io/a": "https://<SECRET>@files.corp.io/a",
    "https://corp.io/?mail=joe.smith@corp.io&x=1": "https://corp.io/?mail=<EMAIL>&x=1",
    "https://corp.io/?mail=joe.smith%40corp.io": "https://corp.io/?mail=<EMAIL>",
    "https://corp.io/a%40b%20c": "https://corp.io/a%40b%20c",
    "": "",
}


def source(tmp: Path) -> list[dict[str, Any]]:
    lines = [json.dumps({"text": f"text of {url}", "url": url}) for url in URLS]
    (tmp / "pages.jsonl").write_text("\n".join(lines))
    return [{"name": "pages", "uri": (tmp / "pages.jsonl").as_uri(), "format": "Jsonl"}]


def artifact(run: CurateRun) -> Path:
    return Path(run.folder.removeprefix("file://")) / "artifact"


def kept(run: CurateRun) -> set[str]:
    found = set()
    for path in (artifact(run) / "documents").iterdir():
        with path.open("rb") as raw, zstandard.ZstdDecompressor().stream_reader(raw) as lines:
            found |= {json.loads(line).get("url", "") for line in io.TextIOWrapper(lines)}
    return found


def test_private_data_in_addresses_is_replaced_and_other_addresses_stay(
    pipeline: Pipeline, tmp_path: Path
) -> None:
    sources = source(tmp_path)
    plain = pipeline.listed(sources, documents=True)
    pipeline.curate(plain)
    assert kept(plain) == set(URLS)
    run = pipeline.listed(sources, documents=True, curation={"pii": {}})
    pipeline.curate(run)
    assert kept(run) == set(URLS.values())


def test_tokens_are_counted_by_domain(pipeline: Pipeline, tmp_path: Path) -> None:
    run = pipeline.listed(source(tmp_path))
    pipeline.curate(run)
    mixture = json.loads((artifact(run) / "curation.json").read_bytes())["mixture"]
    documents = {one["name"]: one["documents"] for one in mixture["domains"]}
    assert documents == {"corp.io": 3, "files.corp.io": 1, "forum.example.org": 1}
