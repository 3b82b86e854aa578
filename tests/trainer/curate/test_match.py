"""Copies planted in a corpus, found by pods that each look at a range of signatures."""

from __future__ import annotations

import json
import random
import shutil
from pathlib import Path
from typing import Any

import pytest

from cupola_api.run import CurateRun
from cupola_trainer.curate import keep, match, rows, shingle_sets, work

from .planted import document, pairs, similarity


@pytest.fixture
def ranges(monkeypatch: pytest.MonkeyPatch) -> None:
    """As many ranges as parts, so that a few parts make some."""
    monkeypatch.setattr(CurateRun, "ranges", property(lambda run: run.parts))


@pytest.fixture(scope="module")
def planted() -> list[dict[str, Any]]:
    """Records: documents, copies of some of them, and exact copies with other white space."""
    draw = random.Random(1)
    found = [{"id": f"x{i}", "text": document(draw, 60)} for i in range(200)]
    number = 0
    for least in (0.8, 0.85, 0.9, 0.95):
        for pair in pairs(int(least * 100), 40, least, words=300):
            number += 1
            found.append({"id": f"o{number}", "text": pair.original})
            found.append({"id": f"c{number}", "text": pair.copy, "similarity": pair.similarity})
    found += [{"id": f"e{i}", "text": found[i]["text"].replace(" ", "\n")} for i in range(40)]
    draw.shuffle(found)
    return found


def source(folder: Path, records: list[dict[str, Any]], files: int, name: str = "web") -> Any:
    """The records in so many files."""
    (folder / name).mkdir(parents=True)
    for file in range(files):
        own = records[file * len(records) // files : (file + 1) * len(records) // files]
        lines = "\n".join(json.dumps(one) for one in own)
        (folder / name / f"{file:02d}.jsonl").write_text(lines)
    return {"name": name, "uri": (folder / name).as_uri(), "format": "Jsonl"}


def kept(run: Any, parts: int) -> set[str]:
    """The texts that stay."""
    staying = keep.read(work.stage_folder(run, "dedup")).collect()
    folders = {part: work.stage_folder(run, "clean", part) for part in range(parts)}
    return {text for found in rows.texts_at(folders, staying) for text in found["text"]}


def cleaned(pipeline: Any, sources: Any, **dedup: Any) -> Any:
    run = pipeline.listed(sources, curation={"dedup": dedup})
    for part in range(run.parts):
        pipeline.stage(run, "clean", part)
    return run


def test_what_stays_is_the_same_for_any_number_of_pods_and_all_that_goes_is_a_copy(
    pipeline: Any, tmp_path: Path, planted: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cupola_trainer.curate.listing._LEAST", 1)
    monkeypatch.setattr("cupola_trainer.curate.listing._MOST", 1)
    web = source(tmp_path, planted, 2)
    decided = set()
    for pods in (1, 3, 16):
        monkeypatch.setattr(CurateRun, "ranges", pods)
        pipeline.output = tmp_path / f"pods-{pods}"
        run = cleaned(pipeline, [web], similarity=0.8)
        pipeline.dedup(run)
        assert len(list(work.stage_folder(run, match.STAGE).iterdir())) == pods
        decided.add((work.stage_folder(run, "dedup") / "manifest.json").read_bytes())
    assert len(decided) == 1
    stays = kept(run, 2)
    originals = {one["id"]: one["text"] for one in planted}
    for low, high, least in ((0.8, 0.85, 0.97), (0.85, 1.01, 0.99)):
        near = [one for one in planted if low <= one.get("similarity", 0) < high]
        gone = [one for one in near if not {one["text"], originals["o" + one["id"][1:]]} <= stays]
        assert len(gone) >= least * len(near)
    for one in planted:
        related = [text for text in _related(one, planted) if text in stays]
        if one["text"] not in stays:
            assert max(similarity(one["text"], text) for text in related) >= 0.8
        elif one["id"][0] in "xe":
            assert not related


def _related(one: dict[str, Any], planted: list[dict[str, Any]]) -> list[str]:
    """The texts that `one` was made from or that were made from it."""
    number = one["id"][1:]
    group = ("x", "e") if one["id"][0] in "xe" else ("o", "c")
    return [
        other["text"]
        for other in planted
        if other["id"][1:] == number and other["id"][0] in group and other is not one
    ]


@pytest.mark.usefixtures("ranges")
def test_a_range_that_was_cut_off_is_done_again_alone(pipeline: Any, sources: Any) -> None:
    run = cleaned(pipeline, sources)
    pipeline.dedup(run)
    folders = [work.stage_folder(run, match.STAGE, number) for number in range(run.ranges)]
    before = [(folder / "manifest.json").stat().st_ino for folder in folders]
    expected = (work.stage_folder(run, "dedup") / "manifest.json").read_bytes()
    shutil.rmtree(work.stage_folder(run, "dedup"))
    (folders[1] / "manifest.json").unlink()
    pipeline.stage(run, "dedup", 3)  # finds its own work, and that another's is missing
    assert not work.stage_folder(run, "dedup").exists()
    pipeline.stage(run, "dedup", 1)
    assert (work.stage_folder(run, "dedup") / "manifest.json").read_bytes() == expected
    after = [(folder / "manifest.json").stat().st_ino for folder in folders]
    assert [a == b for a, b in zip(before, after, strict=True)] == [True, False, True, True, True]


@pytest.mark.usefixtures("ranges")
def test_the_last_pod_to_end_decides_whichever_it_is(pipeline: Any, sources: Any) -> None:
    run = cleaned(pipeline, sources)
    for number in (4, 0, 2, 3):
        pipeline.stage(run, "dedup", number)
        assert not work.stage_folder(run, "dedup").exists()
    pipeline.stage(run, "dedup", 1)
    assert work.sealed(work.stage_folder(run, "dedup"), run)


@pytest.mark.usefixtures("ranges")
def test_little_memory_changes_nothing(
    pipeline: Any, sources: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = cleaned(pipeline, sources)
    pipeline.dedup(run)
    expected = (work.stage_folder(run, "dedup") / "manifest.json").read_bytes()
    shutil.rmtree(work.stage_folder(run, "dedup"))
    shutil.rmtree(work.stage_folder(run, match.STAGE))
    monkeypatch.setattr("cupola_trainer.curate.signatures._PIECE", 100)
    monkeypatch.setattr(match, "_SHINGLES", 50)
    monkeypatch.setattr(match, "_PAIRS", 3)
    monkeypatch.setattr("cupola_trainer.curate.pairs_on_disk.PIECE", 5)
    monkeypatch.setattr("cupola_trainer.curate.states._BLOCK", 7)
    monkeypatch.setattr(shingle_sets, "_RUN", 40)
    pipeline.dedup(run)
    assert (work.stage_folder(run, "dedup") / "manifest.json").read_bytes() == expected


def test_within_sources_a_copy_of_another_source_stays(pipeline: Any, tmp_path: Path) -> None:
    draw = random.Random(2)
    texts = [document(draw, 60) for _ in range(20)]
    old = [{"text": text} for text in texts] + [{"text": texts[0] + " more"}, {"text": texts[1]}]
    new = [{"text": text} for text in texts[:10]] + [{"text": text + " too"} for text in texts[10:]]
    found = {}
    sources = [source(tmp_path, old, 1, "old"), source(tmp_path, new, 1, "new")]
    for scope in ("All", "Source"):
        run = cleaned(pipeline, sources, scope=scope)
        pipeline.dedup(run)
        facts = work.require(work.stage_folder(run, "dedup"), run).facts
        found[scope] = [(one["kept"], one["dropped"]) for one in facts["sources"]]
    one = {"exact-duplicate": 1, "near-duplicate": 1}
    assert found["Source"] == [(20, one), (20, {})]
    assert found["All"] == [(20, one), (0, {"exact-duplicate": 10, "near-duplicate": 10})]


def test_the_summary_says_how_large_clusters_of_copies_are(pipeline: Any, tmp_path: Path) -> None:
    draw = random.Random(3)
    records = [{"text": document(draw, 50)} for _ in range(6)]
    records += [records[0]] * 4 + [records[1]] + [{"text": records[1]["text"] + " more"}]
    run = pipeline.listed([source(tmp_path, records, 1)], curation={"dedup": {}})
    summary = pipeline.curate(run).dataset
    assert [(one.size, one.count) for one in summary.clusters] == [(4, 1), (8, 1)]
