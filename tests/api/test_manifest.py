"""What a manifest says of an artifact besides its files."""

from __future__ import annotations

from pathlib import Path

import pytest

from cupola_api.artifact import (
    MANIFEST,
    ArtifactInvalid,
    canonical,
    digest_of,
    read_manifest,
    seal,
    write_atomic,
)
from cupola_api.common import Lineage

RUN = "sha256:" + "0" * 64


def test_an_artifact_says_what_it_was_made_from(tmp_path: Path) -> None:
    (tmp_path / "a.bin").write_bytes(b"abc")
    inputs = [Lineage(kind="Dataset", name="data", digest=digest_of("data"))]
    artifact = seal(tmp_path, kind="Model", run=RUN, inputs=inputs, facts={"tokens": 7})
    manifest, found = read_manifest(tmp_path)
    assert (manifest.kind, manifest.run, manifest.format) == ("Model", RUN, 1)
    assert manifest.inputs == inputs
    assert manifest.facts == {"tokens": 7}
    assert found == artifact


def test_what_it_was_made_from_is_part_of_its_digest(tmp_path: Path) -> None:
    (tmp_path / "a.bin").write_bytes(b"abc")
    inputs = [Lineage(kind="Dataset", name="data", digest=digest_of("data"))]
    without = seal(tmp_path, kind="Model", run=RUN).digest
    assert seal(tmp_path, kind="Model", run=RUN, inputs=inputs).digest != without
    assert seal(tmp_path, kind="Model", run=RUN, facts={"tokens": 7}).digest != without
    assert seal(tmp_path, kind="Model", run=RUN).digest == without


def test_what_is_no_manifest_is_named(tmp_path: Path) -> None:
    (tmp_path / MANIFEST).write_text("no")
    with pytest.raises(ArtifactInvalid, match=f"^{tmp_path / MANIFEST} is not a manifest$"):
        read_manifest(tmp_path)


def test_folders_are_made_for_an_atomic_write(tmp_path: Path) -> None:
    write_atomic(tmp_path / "a" / "b" / "file", b"1")
    assert (tmp_path / "a" / "b" / "file").read_bytes() == b"1"


def test_json_has_one_spelling() -> None:
    value = {"b": [1.5, "ä"], "a": None}
    assert canonical(value) == '{"a":null,"b":[1.5,"ä"]}'.encode()


def test_what_json_cannot_say_has_no_digest() -> None:
    with pytest.raises(ValueError, match="not JSON compliant"):
        digest_of({"loss": float("nan")})
