from __future__ import annotations

import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from cupola_api.dataset import PII_KEY, PiiKind
from cupola_trainer.curate import pii, work
from cupola_trainer.curate.pii import keyed
from cupola_trainer.pod import PodFailure

from .generator import planted

ALL = set(PiiKind)
KEY, OTHER = b"k" * 32, b"o" * 32


def test_the_same_finding_has_the_same_placeholder_however_it_is_written() -> None:
    text = "4012 8888 8888 1881 and 4012-8888-8888-1881, Ann@Mail.org, ann@mail.org, bob@mail.org"
    redacted, counts = pii.redact(text, ALL, KEY)
    first, _, second, third, fourth, fifth = redacted.replace(",", "").split()
    assert counts == {PiiKind.CREDIT_CARD: 2, PiiKind.EMAIL: 3}
    assert first == second
    assert third == fourth != fifth
    assert first.startswith("<CREDIT_CARD:")
    assert third.startswith("<EMAIL:")


def test_another_key_gives_other_placeholders() -> None:
    one, other = (pii.redact("ann@mail.org", ALL, key)[0] for key in (KEY, OTHER))
    assert one != other
    assert keyed.check(KEY) != keyed.check(OTHER)


def test_what_is_left_holds_no_further_finding() -> None:
    for text, kind, value in planted(3, 100):
        redacted, counts = pii.redact(text, ALL, KEY)
        assert value not in redacted
        assert counts == pii.redact(text, ALL)[1] == {kind: 1}
        assert pii.redact(redacted, ALL, KEY) == (redacted, {})


@given(st.binary(max_size=40), st.binary(min_size=32, max_size=32))
def test_a_placeholder_is_letters_of_one_length(finding: bytes, key: bytes) -> None:
    made = keyed.placeholder(b"<PHONE>", finding, key).decode()
    assert made.startswith("<PHONE:")
    assert made.endswith(">")
    assert len(made) == len("<PHONE:>") + 16
    assert set(made[7:-1]) <= set("abcdefghijklmnop")


@pytest.mark.parametrize("value", [None, "", "too short"])
def test_without_a_key_a_pod_says_where_to_put_one(
    monkeypatch: pytest.MonkeyPatch, value: str | None
) -> None:
    monkeypatch.delenv(PII_KEY, raising=False)
    if value is not None:
        monkeypatch.setenv(PII_KEY, value)
    with pytest.raises(PodFailure, match=r"spec\.podTemplate\.envFromSecrets") as failure:
        keyed.key_from_environment()
    assert failure.value.reason == "KeyMissing"
    assert not value or value not in failure.value.message


def test_parts_that_were_cleaned_with_different_keys_are_refused(
    pipeline: Any, sources: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = pipeline.listed(sources, curation={"pii": {"action": "Hash"}})
    for part in range(run.parts):
        monkeypatch.setenv(PII_KEY, "first key of them" if part < 2 else "another key here")
        pipeline.stage(run, "clean", part)
    with pytest.raises(PodFailure, match="different keys"):
        pipeline.dedup(run)


def test_one_finding_is_one_placeholder_in_all_of_a_dataset(
    pipeline: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(PII_KEY, "a key that is long")
    (tmp_path / "in").mkdir()
    for i in range(4):
        text = f"note {i}: write to ann{i % 2}@mail.org, who knows of the furnace."
        (tmp_path / "in" / f"{i}.txt").write_text(text)
    source = {"name": "notes", "uri": (tmp_path / "in").as_uri(), "format": "Text"}
    curation = {"pii": {"action": "Hash"}}
    run = pipeline.listed([source], curation=curation, documents=True)
    summary = pipeline.curate(run).dataset
    assert [(one.name, one.count) for one in summary.redacted] == [("Email", 4)]
    folder = work.artifact_folder(run) / "documents"
    text = "".join(
        zstandard.ZstdDecompressor().stream_reader(path.read_bytes()).read().decode()
        for path in folder.iterdir()
    )
    found = Counter(re.findall(r"<EMAIL:[a-p]{16}>", text))
    assert sorted(found.values()) == [2, 2]
    for path in work.artifact_folder(run).rglob("*"):
        assert not path.is_file() or b"a key that" not in path.read_bytes()
