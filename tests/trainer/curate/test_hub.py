"""Datasets of a hub: a server of this machine that answers as the Hugging Face hub does."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import re
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import datasets.config
import huggingface_hub.constants
import polars as pl
import pytest

from cupola_api.dataset import Source
from cupola_api.outcome import FailureClass
from cupola_trainer.curate import hub
from cupola_trainer.failures import StoreError
from cupola_trainer.pod import PodFailure

REPOSITORY = "foundry/iron"
COMMIT = "0123456789abcdef0123456789abcdef01234567"
TIME = "2026-01-02T03:04:05.000Z"

README = b"""---
configs:
- config_name: default
  data_files:
  - split: train
    path: data/train-*
  - split: test
    path: data/test-*
- config_name: notes
  data_files: notes/*.jsonl.gz
---
"""


def table(*texts: str) -> bytes:
    file = io.BytesIO()
    pl.DataFrame({"text": texts}).write_parquet(file)
    return file.getvalue()


SCRIPT = b"raise SystemExit('code of a repository was run')"
FILES = {
    "README.md": README,
    "data/train-00000.parquet": table("one of the furnace", "two"),
    "data/train-00001.parquet": table("three"),
    "data/test-00000.parquet": table("held out"),
    "notes/a.jsonl.gz": gzip.compress(b'{"text": "a note"}\n'),
    "other.py": SCRIPT,
}


class Hub(BaseHTTPRequestHandler):
    """What the library asks of the hub."""

    asked: list[str] = []  # noqa: RUF012  what was asked, of all handlers
    down = False

    def do_GET(self) -> None:
        self._answer(b"")

    def do_HEAD(self) -> None:
        self._answer(b"")

    def do_POST(self) -> None:
        self._answer(self.rfile.read(int(self.headers["Content-Length"])))

    def log_message(self, *_: object) -> None:
        pass

    def _answer(self, sent: bytes) -> None:
        path = unquote(urlsplit(self.path).path)
        self.asked.append(f"{self.command} {path}")
        api, files = f"/api/datasets/{REPOSITORY}", f"/datasets/{REPOSITORY}/resolve/"
        if self.down:
            self._send(503, b"down")
        elif path in (api, f"{api}/revision/main", f"{api}/revision/{COMMIT}"):
            siblings = [{"rfilename": name} for name in FILES]
            self._json(
                {"id": REPOSITORY, "sha": COMMIT, "siblings": siblings, "lastModified": TIME}
            )
        elif found := re.fullmatch(f"{api}/tree/[^/]+/?(.*)", path):
            deep = "recursive=true" in self.path.lower()
            entries = entries_below(found[1], deep)
            self._json(entries) if entries else self._send(404, b"", "EntryNotFound")
        elif path == f"{api}/paths-info/{COMMIT}":
            wanted = parse_qs(sent.decode())["paths"]
            self._json([entry(name) for name in wanted if known(name)])
        elif path.startswith(files):
            revision, _, name = path.removeprefix(files).partition("/")
            if revision in ("main", COMMIT) and name in FILES:
                self._send(200, FILES[name])
            else:
                self._send(404, b"", "EntryNotFound")
        else:
            self._send(404, b"{}", "RepoNotFound")

    def _json(self, value: Any) -> None:
        self._send(200, json.dumps(value).encode())

    def _send(self, status: int, data: bytes, code: str = "") -> None:
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.send_header("ETag", f'"{hashlib.sha256(data).hexdigest()}"')
        self.send_header("X-Repo-Commit", COMMIT)
        if code:
            self.send_header("X-Error-Code", code)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(data)


def known(path: str) -> bool:
    return any(name == path or name.startswith(f"{path}/") for name in FILES)


def entry(name: str) -> dict[str, Any]:
    if name not in FILES:
        return {"type": "directory", "path": name, "oid": "0" * 40, "size": 0}
    data = FILES[name]
    found = {"type": "file", "path": name, "oid": "0" * 40, "size": len(data)}
    if name.endswith(".parquet"):  # large files are in LFS, whose id is the hash of the content
        sha256 = hashlib.sha256(data).hexdigest()
        found["lfs"] = {"oid": sha256, "size": len(data), "pointerSize": 130}
    return found


def entries_below(folder: str, deep: bool) -> list[dict[str, Any]]:
    prefix = f"{folder}/" if folder else ""
    names: dict[str, None] = {}
    for name in FILES:
        if name.startswith(prefix):
            steps = name.removeprefix(prefix).split("/")
            names |= dict.fromkeys(prefix + "/".join(steps[:i]) for i in range(1, len(steps)))
            names[name] = None
    return [entry(name) for name in names if deep or "/" not in name.removeprefix(prefix)]


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[type[Hub]]:
    handler = type("Own", (Hub,), {"asked": [], "down": False})
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        endpoint = f"http://127.0.0.1:{running.server_port}"
        at(monkeypatch, tmp_path, endpoint)
        yield handler
        running.shutdown()


def at(monkeypatch: pytest.MonkeyPatch, home: Path, endpoint: str) -> None:
    """What HF_ENDPOINT and HF_HOME do for a process that starts with them."""
    constants = huggingface_hub.constants
    monkeypatch.setattr(constants, "ENDPOINT", endpoint)
    monkeypatch.setattr(
        constants,
        "HUGGINGFACE_CO_URL_TEMPLATE",
        endpoint + "/{repo_id}/resolve/{revision}/{filename}",
    )
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(home / "hub"))
    offline(monkeypatch, asked=False)
    monkeypatch.setattr(datasets.config, "HF_ENDPOINT", endpoint)
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", str(home / "datasets"))
    monkeypatch.setattr(datasets.config, "HF_MODULES_CACHE", str(home / "modules"))


def offline(monkeypatch: pytest.MonkeyPatch, *, asked: bool) -> None:
    """What HF_HUB_OFFLINE does."""
    monkeypatch.setattr(huggingface_hub.constants, "HF_HUB_OFFLINE", asked)
    monkeypatch.setattr(datasets.config, "HF_HUB_OFFLINE", asked)


def source(uri: str, form: str = "Parquet") -> Source:
    return Source(name="web", uri=uri, format=form)


def test_a_split_is_its_files_at_the_commit_that_the_revision_is(server: type[Hub]) -> None:
    commit, files = hub.files(source(f"hf://{REPOSITORY}"))
    assert commit == COMMIT
    assert [file.path for file in files] == ["data/train-00000.parquet", "data/train-00001.parquet"]
    assert [file.bytes for file in files] == [len(FILES[file.path]) for file in files]
    for file in files:
        assert hub.digest(source(f"hf://{REPOSITORY}"), commit, file) == file.sha256
    assert not [one for one in server.asked if one.endswith("parquet")], "nothing was fetched"


@pytest.mark.usefixtures("server")
def test_revision_configuration_and_split_may_be_named() -> None:
    uri = f"hf://{REPOSITORY}@{COMMIT}/default#test"
    assert [file.path for file in hub.files(source(uri))[1]] == ["data/test-00000.parquet"]
    notes = source(f"hf://{REPOSITORY}/notes", "Jsonl")
    commit, (note,) = hub.files(notes)
    assert (note.path, note.sha256) == ("notes/a.jsonl.gz", None)
    assert hub.digest(notes, commit, note) == hashlib.sha256(FILES[note.path]).hexdigest()


@pytest.mark.usefixtures("server")
def test_a_dataset_of_the_hub_is_curated_like_any_other(
    pipeline: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    sources = [source(f"hf://{REPOSITORY}").to_json()]
    run = pipeline.listed(sources)
    online = pipeline.curate(run)
    assert (online.dataset.documents_read, online.dataset.documents_kept) == (3, 3)
    snapshot = huggingface_hub.snapshot_download(REPOSITORY, repo_type="dataset")
    assert Path(snapshot).is_relative_to(tmp_path)
    offline(monkeypatch, asked=True)
    monkeypatch.setattr(huggingface_hub.constants, "ENDPOINT", "http://127.0.0.1:9")
    pipeline.output = tmp_path / "out2"
    again = pipeline.listed(sources)
    assert again.digest == run.digest
    pipeline.stage(again, "clean", 0)


@pytest.mark.parametrize(
    ("uri", "form", "words"),
    [
        ("hf://foundry/none", "Parquet", "no such dataset or revision.*give the pod HF_TOKEN"),
        (f"hf://{REPOSITORY}@none", "Parquet", "no such dataset or revision"),
        (f"hf://{REPOSITORY}/none", "Parquet", "not found. Available: .*default.*write hf://org"),
        (f"hf://{REPOSITORY}#none", "Parquet", "no split none; write #SPLIT, one of train, test"),
        (f"hf://{REPOSITORY}", "Jsonl", "train-00000.parquet is no file of format Jsonl; correct"),
    ],
)
@pytest.mark.usefixtures("server")
def test_what_the_hub_has_not_is_said_in_a_sentence(uri: str, form: str, words: str) -> None:
    with pytest.raises(PodFailure, match=words) as caught:
        hub.files(source(uri, form))
    assert caught.value.failure is FailureClass.USER
    assert caught.value.message.isprintable()


@pytest.mark.usefixtures("server")
def test_a_dataset_that_is_a_script_is_not_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(FILES, "iron.py", SCRIPT)
    with pytest.raises(PodFailure, match=r"scripts are no longer supported.*data files"):
        hub.files(source(f"hf://{REPOSITORY}"))


def test_a_hub_that_does_not_answer_is_asked_again_later(server: type[Hub]) -> None:
    server.down = True
    with pytest.raises(StoreError) as caught:
        hub.files(source(f"hf://{REPOSITORY}"))
    assert caught.value.failure.reason == "HubUnavailable"
    assert caught.value.failure.failure is FailureClass.INFRASTRUCTURE


def test_offline_only_the_cache_is_looked_at(
    server: type[Hub], monkeypatch: pytest.MonkeyPatch
) -> None:
    offline(monkeypatch, asked=True)
    with pytest.raises(PodFailure, match=r"not in the cache.*unset HF_HUB_OFFLINE"):
        hub.files(source(f"hf://{REPOSITORY}"))
    assert not server.asked
