from __future__ import annotations

import json
from pathlib import Path

import pytest

from cupola_api import part
from cupola_api.artifact import MANIFEST, ArtifactInvalid, read_manifest, seal, verify
from cupola_api.part import read_facts, read_part, verify_part

RUN = "sha256:" + "0" * 64
FACTS = {"files": [1, {"path": "}],"}], "tokens": 12, "name": "é"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("train/0.tokens", "train/index", "validation/index", "tokenizer/tokenizer.json"):
        path = tmp_path / "a" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name * 7)
    seal(tmp_path / "a", kind="Dataset", run=RUN, facts=FACTS)
    return tmp_path / "a"


@pytest.mark.parametrize("at_once", [1, 7, 1 << 20])
def test_a_part_is_what_the_whole_manifest_says_of_it(
    at_once: int, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(part, "_AT_ONCE", at_once)
    manifest, artifact = read_manifest(folder)
    found = read_part(folder / MANIFEST, "train/", "validation/index")
    assert found.digest == artifact.digest
    assert found.facts == read_facts(folder) == FACTS
    assert found.files == [file for file in manifest.files if not file.path.startswith("tok")]
    assert read_part(folder / MANIFEST, "").files == manifest.files


def test_facts_are_read_without_the_files(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(part, "_AT_ONCE", 7)
    whole = (folder / MANIFEST).read_bytes()
    (folder / MANIFEST).write_bytes(whole[: whole.index(b'{"bytes":') + 5])
    assert read_facts(folder) == FACTS


def test_a_manifest_that_is_cut_short_is_refused(folder: Path) -> None:
    whole = (folder / MANIFEST).read_bytes()
    for size in range(0, len(whole), 17):
        (folder / MANIFEST).write_bytes(whole[:size])
        with pytest.raises(ArtifactInvalid):
            read_part(folder / MANIFEST, "train/")


def test_only_the_part_is_checked(folder: Path) -> None:
    (folder / "validation/index").write_text("other")
    verify_part(folder, "train/")
    verify_part(folder, "train/", digest=read_manifest(folder)[1].digest)
    with pytest.raises(ArtifactInvalid, match=r"index has 5 bytes, expected 112"):
        verify_part(folder, "train/", "validation/")
    with pytest.raises(ArtifactInvalid, match=f"has digest sha256:.*, expected {RUN}"):
        verify_part(folder, "train/", digest=RUN)
    (folder / "train/index").unlink()
    with pytest.raises(ArtifactInvalid, match=r"train/index is missing"):
        verify_part(folder, "train/")
    with pytest.raises(ArtifactInvalid, match=r"is missing|has 5 bytes"):
        verify(folder)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{",
        '{"files":[',
        '{"files":[1]}',
        '{"files":[{"bytes":1}]}',
        '{"files":[{"bytes":"x","path":"train/0","sha256":"y"}]}',
        '{"facts":{},"files":[] "kind":"x"}',
        '{"facts":' + "[" * 100_000,
        "\udcff",
    ],
)
def test_what_is_no_manifest_is_refused(text: str, tmp_path: Path) -> None:
    (tmp_path / MANIFEST).write_bytes(text.encode(errors="surrogateescape"))
    with pytest.raises(ArtifactInvalid, match=r"manifest.json is not a manifest"):
        read_part(tmp_path / MANIFEST, "train/")


def test_a_manifest_that_is_not_there_is_said_by_its_name(tmp_path: Path) -> None:
    with pytest.raises(ArtifactInvalid, match=r"manifest.json cannot be read: No such file"):
        read_facts(tmp_path)
    with pytest.raises(ArtifactInvalid, match=r"s3://b/manifest.json cannot be read"):
        read_part(tmp_path / MANIFEST, "", where="s3://b/manifest.json")


@pytest.mark.parametrize("path", ["/etc/passwd", "train/../../x"])
def test_a_path_outside_is_refused(path: str, tmp_path: Path) -> None:
    files = [{"bytes": 1, "path": path, "sha256": "0" * 64}]
    (tmp_path / MANIFEST).write_text(json.dumps({"files": files}, separators=(",", ":")))
    with pytest.raises(ArtifactInvalid, match=r"names a path outside it"):
        read_part(tmp_path / MANIFEST, "")
