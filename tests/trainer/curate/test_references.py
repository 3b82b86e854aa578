from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import polars as pl
import pytest

from cupola_api.artifact import verify
from cupola_trainer.curate import references, work
from cupola_trainer.pod import PodFailure
from cupola_trainer.storage import place_of, s3

QUESTION = "In which of the following furnaces does a foundry melt the iron for its castings?"
ENGLISH = (
    "Page {i}: the furnace of a foundry is charged with coke and iron, and that is all that it "
    "needs to have to be lit, as all of those know who have seen it."
)
GERMAN = "Seite {i}: der Ofen einer Gie\u00dferei wird mit Koks und Eisen beschickt, mehr braucht es nicht."


@pytest.fixture
def web(tmp_path: Path) -> list[dict[str, Any]]:
    """Eight good pages, and two for each filter."""
    rows = [{"text": ENGLISH.format(i=i), "url": f"https://good.example/{i}"} for i in range(8)]
    rows += [{"text": GERMAN.format(i=i)} for i in range(2)]
    rows += [{"text": f"{ENGLISH.format(i=i)} Blast it all!"} for i in range(2)]
    rows += [{"text": ENGLISH.format(i=i), "url": f"http://bad.example/{i}"} for i in range(20, 22)]
    rows += [{"text": f"{ENGLISH.format(i=i)} {QUESTION}"} for i in range(30, 32)]
    (tmp_path / "web.jsonl").write_text("\n".join(map(json.dumps, rows)))
    (tmp_path / "words.txt").write_text("# no swearing\n\nblast it\n")
    (tmp_path / "sites.txt.gz").write_bytes(gzip.compress(b"bad.example\n"))
    records = [{"id": 1, "question": {"stem": QUESTION, "choices": ["cupola", None, 3]}}]
    (tmp_path / "exam.jsonl").write_text("\n".join(map(json.dumps, records)) + "\n\n")
    return [{"name": "web", "uri": (tmp_path / "web.jsonl").as_uri(), "format": "Jsonl"}]


def curation(folder: Path, **changes: Any) -> dict[str, Any]:
    return {
        "blockLists": [
            {"name": "words", "uri": (folder / "words.txt").as_uri(), "matches": "Words"},
            {"name": "sites", "uri": (folder / "sites.txt.gz").as_uri(), "matches": "Url"},
        ],
        "language": {"keep": ["en"]},
        "quality": {"rules": "Web", "minWords": 5, "thresholds": {"few-sentences": 1}},
        "decontamination": {
            "benchmarks": [{"name": "exam", "uri": (folder / "exam.jsonl").as_uri()}]
        },
        **changes,
    }


def test_all_filters_are_counted_in_the_summary_and_their_files_in_the_lineage(
    pipeline: Any, web: Any, tmp_path: Path
) -> None:
    run = pipeline.listed(web, curation=curation(tmp_path))
    summary = pipeline.curate(run).dataset
    assert (summary.documents_read, summary.documents_kept) == (16, 8)
    assert {one.name: one.count for one in summary.dropped} == {
        "block-words": 2,
        "block-sites": 2,
        "language": 2,
        "benchmark-exam": 2,
    }
    assert {one.name: one.count for one in summary.languages} == {"en": 10, "de": 2}
    manifest, _ = verify(work.artifact_folder(run))
    assert [(one.kind, one.name) for one in manifest.inputs] == [
        ("Source", "web"),
        ("Reference", "block-words"),
        ("Reference", "block-sites"),
        ("Reference", "benchmark-exam"),
    ]
    report = json.loads((work.artifact_folder(run) / "curation.json").read_text())
    assert report["sources"]["web"]["languages"] == {"de": 2, "en": 10}


def test_a_list_that_changed_makes_another_run_and_one_that_moved_does_not(
    pipeline: Any, web: Any, tmp_path: Path
) -> None:
    before = pipeline.listed(web, curation=curation(tmp_path)).digest
    (tmp_path / "exam.jsonl").rename(tmp_path / "moved.jsonl")
    (tmp_path / "words.txt").rename(tmp_path / "other.txt")
    wanted = json.loads(
        json.dumps(curation(tmp_path)).replace("words.txt", "other.txt").replace("exam.", "moved.")
    )
    moved = pipeline.listed(web, curation=wanted)
    (tmp_path / "other.txt").write_text("blast\n")
    assert pipeline.listed(web, curation=wanted).digest != moved.digest
    assert moved.listing_digest != before


def test_a_benchmark_in_parquet_and_only_some_of_its_fields(
    pipeline: Any, web: Any, tmp_path: Path
) -> None:
    frame = pl.DataFrame({"q": [QUESTION], "a": [ENGLISH.format(i=0)], "n": [1]})
    frame.write_parquet(tmp_path / "exam.parquet")
    benchmark = {"name": "exam", "uri": (tmp_path / "exam.parquet").as_uri(), "fields": ["q"]}
    run = pipeline.listed(web, curation={"decontamination": {"benchmarks": [benchmark]}})
    summary = pipeline.curate(run).dataset
    assert {one.name: one.count for one in summary.dropped} == {"benchmark-exam": 2}


def examples(folder: Path, count: int = 60) -> dict[str, Any]:
    """Two sets: pages like those of `web`, and others."""
    for name, text in (("good", ENGLISH), ("bad", "Buy item {i} now, cheap cheap, click here!")):
        rows = [{"text": text.format(i=i)} for i in range(count)]
        (folder / f"{name}.jsonl").write_text("\n".join(map(json.dumps, rows)))
    return {name: {"uri": (folder / f"{name}.jsonl").as_uri()} for name in ("good", "bad")}


def test_a_classifier_is_trained_once_and_drops_what_is_like_its_bad_examples(
    pipeline: Any, web: Any, tmp_path: Path
) -> None:
    with (tmp_path / "web.jsonl").open("a") as file:
        file.write("\n" + json.dumps({"text": "Click here and buy the cheap item now"}))
    run = pipeline.listed(web, curation={"classifier": examples(tmp_path)})
    summary = pipeline.curate(run).dataset
    assert {one.name: one.count for one in summary.dropped}["classifier"] >= 1
    assert summary.documents_kept >= 12
    report = json.loads((work.artifact_folder(run) / "curation.json").read_text())
    assert report["classifier"] == {"good": 54, "bad": 54, "heldOut": 12, "accuracy": 1.0}
    assert sum(report["sources"]["web"]["scores"].values()) == 17
    manifest, _ = verify(work.artifact_folder(run))
    assert [one.name for one in manifest.inputs[1:]] == ["classifier-good", "classifier-bad"]
    again = pipeline.listed(web, curation={"classifier": examples(tmp_path, count=70)})
    assert again.listing_digest != run.listing_digest


def test_lists_and_examples_in_a_bucket_are_those_of_a_disk(
    pipeline: Any, web: Any, tmp_path: Path, bucket: str
) -> None:
    wanted = curation(tmp_path, classifier=examples(tmp_path))
    expected = pipeline.curate(pipeline.listed(web, curation=wanted))
    s3.upload((path, place_of(f"{bucket}/{path.name}")) for path in tmp_path.glob("*.*"))
    there = json.loads(json.dumps([web, wanted]).replace(tmp_path.as_uri(), bucket))
    pipeline.output = place_of(f"{bucket}/out")
    outcome = pipeline.curate(pipeline.listed(there[0], curation=there[1]))
    assert outcome.dataset == expected.dataset
    assert outcome.artifact.digest == expected.artifact.digest


def test_a_classifier_that_is_gone_is_an_outage_of_the_listing(
    pipeline: Any, web: Any, tmp_path: Path
) -> None:
    run = pipeline.listed(web, curation={"classifier": examples(tmp_path)})
    (file,) = (pipeline.output / "listings").glob("*.classifier.json")
    file.unlink()
    with pytest.raises(PodFailure, match="let the stage `list` run again") as failure:
        pipeline.stage(run, "clean", 0)
    assert failure.value.reason == "ListingInvalid"


def test_too_few_examples_are_said_when_files_are_listed(
    pipeline: Any, web: Any, tmp_path: Path
) -> None:
    with pytest.raises(PodFailure, match="has 49 good and 49 bad documents; give 50 of each"):
        pipeline.listed(web, curation={"classifier": examples(tmp_path, count=49)})


def test_a_list_that_is_not_there_is_said_when_files_are_listed(
    pipeline: Any, web: Any, tmp_path: Path
) -> None:
    (tmp_path / "words.txt").unlink()
    with pytest.raises(PodFailure, match=r"block-words: there is nothing at .*words\.txt"):
        pipeline.listed(web, curation=curation(tmp_path))


def test_a_list_that_changed_after_the_listing_is_refused(
    pipeline: Any, web: Any, tmp_path: Path
) -> None:
    run = pipeline.listed(web, curation=curation(tmp_path))
    (tmp_path / "words.txt").write_text("another\n")
    with pytest.raises(PodFailure) as failure:
        pipeline.stage(run, "clean", 0)
    assert failure.value.reason == "SourceChanged"


def test_strings_are_found_in_their_order_however_deep_they_lie() -> None:
    deep: Any = "b"
    for _ in range(5000):
        deep = [deep]
    assert [*references._strings({"q": "a", "more": [deep, 1, None, {"c": "c"}], "d": "d"})] == [
        *"abcd"
    ]


@pytest.mark.parametrize(
    "broken",
    [
        ("words.txt", b"# nothing\n", "ReferenceEmpty", "block-list words holds no entry"),
        ("words.txt", b"caf\xe9\n", "ReferenceUnreadable", "words.txt cannot be read"),
        ("sites.txt.gz", b"\x1f\x8b\x08", "ReferenceUnreadable", "sites.txt.gz cannot be read"),
        ("exam.jsonl", b"{}\n", "ReferenceEmpty", "benchmarks\\[\\].fields"),
        ("exam.jsonl", b'{"q": \n', "ReferenceUnreadable", "line 1: "),
        ("exam.jsonl", b"{}\n[]\n", "ReferenceUnreadable", "line 2 is no JSON object"),
    ],
)
def test_a_file_that_holds_nothing_of_use_is_a_clear_failure(
    pipeline: Any, web: Any, tmp_path: Path, broken: tuple[str, bytes, str, str]
) -> None:
    file, content, reason, said = broken
    (tmp_path / file).write_bytes(content)
    run = pipeline.listed(web, curation=curation(tmp_path))
    with pytest.raises(PodFailure, match=said) as failure:
        pipeline.stage(run, "clean", 0)
    assert failure.value.reason == reason
