from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from cupola_api.artifact import verify
from cupola_api.mixing import SourceMix
from cupola_api.run import CurateRun
from cupola_trainer.curate import rounds
from cupola_trainer.curate.rounds import largest
from cupola_trainer.shards import Index, read_documents

from .conftest import Pipeline

MIXED = {"mixing": {"maxRepeats": 6}}


def weighted(sources: list[dict[str, Any]], *weights: float) -> list[dict[str, Any]]:
    return [source | {"weight": w} for source, w in zip(sources, weights, strict=True)]


def artifact(run: CurateRun) -> Path:
    return Path(run.folder.removeprefix("file://")) / "artifact"


def documents(run: CurateRun, split: str) -> list[bytes]:
    return [d.tobytes() for d in read_documents(artifact(run) / split, 512)]


def digests(run: CurateRun, *begins: str) -> dict[str, str]:
    manifest, _ = verify(artifact(run))
    return {f.path: f.sha256 for f in manifest.files if f.path.startswith(begins)}


def test_sources_have_their_shares_of_the_training_tokens_and_of_nothing_else(
    pipeline: Pipeline, sources: list[dict[str, Any]]
) -> None:
    common: dict[str, Any] = {"documents": True, "curation": {"dedup": {}}}
    plain = pipeline.listed(sources, **common)
    before = pipeline.curate(plain).dataset
    run = pipeline.listed(weighted(sources, 9, 1), **common, **MIXED)
    after = pipeline.curate(run).dataset
    assert before
    assert after
    assert after.mixing
    assert before.mixing is None
    assert after.tokens == pytest.approx(before.tokens, rel=0.01)
    once, often = Counter(documents(plain, "train")), Counter(documents(run, "train"))
    assert set(often) <= set(once)
    web, notes = after.mixing
    assert (web.name, web.wanted, notes.wanted) == ("web", 0.9, 0.1)
    # Five notes are so little text that even six times all are less than a tenth.
    assert (notes.passes, web.passes < 1) == (6, True)
    assert notes.reached + web.reached == pytest.approx(1, abs=1e-4)
    assert set(often.values()) == {1, 6}
    assert Index(artifact(run) / "train" / "index", 512).tokens == after.tokens
    report = json.loads((artifact(run) / "curation.json").read_bytes())
    assert report["mixture"]["mixing"] == [web.to_json(), notes.to_json()]
    assert report["splits"]["train"]["documents"] == often.total()
    for begin in ("validation/", "documents/", "tokenizer/", "dropped/"):
        assert digests(run, begin) == digests(plain, begin) != {}
    assert not set(often) & set(documents(run, "validation"))


def test_the_order_of_pods_changes_no_byte_of_a_mixture(
    pipeline: Pipeline, sources: list[dict[str, Any]], tmp_path: Path
) -> None:
    made = []
    for name, reverse in (("one", False), ("other", True)):
        pipeline.output = tmp_path / name
        run = pipeline.listed(weighted(sources, 2, 1), mixing={"tokens": "60K"})
        pipeline.curate(run, sorted(range(run.parts), reverse=reverse))
        made.append(digests(run, ""))
    assert made[0] == made[1]


def test_no_document_comes_twice_in_one_round(
    pipeline: Pipeline, sources: list[dict[str, Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cupola_trainer.curate.rounds._SHARD", 3000)
    run = pipeline.listed(sources, mixing={"tokens": "90K"})
    summary = pipeline.curate(run).dataset
    assert summary
    assert summary.mixing
    passes = summary.mixing[0].passes
    assert 1 < passes < 4
    found = documents(run, "train")
    assert set(Counter(found).values()) == {int(passes), int(passes) + 1}
    turn: set[bytes] = set()
    turns = 1
    for document in found:
        if document in turn:
            turn, turns = set(), turns + 1
        turn.add(document)
    assert turns == int(passes) + 1


def test_a_summary_names_the_largest_sources(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rounds, "_MOST", 2)
    shares = {"a": (0.1, 0.1), "b": (0.2, 0.6), "c": (0.7, 0.3)}
    found = [
        SourceMix(name=name, wanted=wanted, reached=reached, passes=1)
        for name, (wanted, reached) in shares.items()
    ]
    assert [one.name for one in largest(found)] == ["b", "c"]
    assert largest(found[:1]) == found[:1]
