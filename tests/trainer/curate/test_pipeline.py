from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from argparse import Namespace
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zstandard
from tokenizers import Tokenizer

from cupola_api import run as contract
from cupola_api.artifact import verify
from cupola_api.mixture import Mixture
from cupola_api.run import CurateRun, Input
from cupola_trainer import curate, timesheet
from cupola_trainer.curate import work
from cupola_trainer.pairs import read_pairs
from cupola_trainer.pod import PodFailure
from cupola_trainer.shards import INDEX, Index, read_documents

CURATION = {"pii": {}, "dedup": {"similarity": 0.8}}


def documents(artifact: Path, split: str) -> list[str]:
    """The documents of a split as text, end token included."""
    tokenizer = Tokenizer.from_file(str(artifact / "tokenizer" / "tokenizer.json"))
    found = read_documents(artifact / split, tokenizer.get_vocab_size())
    return [tokenizer.decode(d.tolist(), skip_special_tokens=False) for d in found]


def test_a_dataset_is_made_of_what_its_sources_hold(pipeline: Any, sources: Any) -> None:
    run = pipeline.listed(sources, curation=CURATION)
    outcome = pipeline.curate(run)
    artifact = work.artifact_folder(run)
    manifest, sealed = verify(artifact)
    assert outcome.artifact == sealed
    assert manifest.kind == "Dataset"
    assert manifest.run == run.digest
    assert [(i.kind, i.name) for i in manifest.inputs] == [("Source", "web"), ("Source", "notes")]
    summary = outcome.dataset
    assert manifest.facts == summary.to_json()
    assert run.parts == 5
    # 600 records, 60 exact and 40 near copies, 8 faults; 5 notes, of which all are kept.
    assert summary.documents_read == 600 + 60 + 40 + 8 + 5
    assert summary.documents_kept == 605
    assert {r.name: r.count for r in summary.dropped} == {
        "exact-duplicate": 60,
        "near-duplicate": 40,
        "missing-field": 4,
    }
    assert {r.name: r.count for r in summary.quarantined} == {"invalid-json": 4}
    assert {r.name: r.count for r in summary.redacted} == {"Email": 15}
    train, held = documents(artifact, "train"), documents(artifact, "validation")
    assert len(train) + len(held) == 605
    assert not set(train) & set(held)
    assert all(text.endswith("<|endoftext|>") for text in train + held)
    assert any("<EMAIL>" in text for text in train)
    assert 30 <= len(held) <= 90
    assert summary.tokens == Index(artifact / "train" / INDEX, summary.vocabulary).tokens
    held_index = Index(artifact / "validation" / INDEX, summary.vocabulary)
    assert summary.validation_tokens == held_index.tokens
    assert not work.work_folder(run).exists()


def test_the_report_says_what_happened_to_each_source(pipeline: Any, sources: Any) -> None:
    run = pipeline.listed(sources, curation=CURATION)
    pipeline.curate(run)
    text = (work.artifact_folder(run) / "curation.json").read_text()
    report = json.loads(text)
    notes = report["sources"]["notes"]
    assert (notes["read"], notes["kept"], notes["redacted"]) == (5, 5, {"Email": 15})
    assert report["sources"]["web"]["dropped"]["near-duplicate"] == 40
    assert "@mail.org" not in text
    mixture = Mixture.model_validate(report["mixture"])
    assert [(one.name, one.documents) for one in mixture.sources] == [("web", 600), ("notes", 5)]
    assert sum(length.documents for length in mixture.lengths) == 605
    assert mixture.diversity is not None


def test_a_few_documents_that_each_rule_dropped_are_kept_to_look_at(
    pipeline: Any, sources: Any
) -> None:
    run = pipeline.listed(sources, curation=CURATION)
    pipeline.curate(run)
    folder = work.artifact_folder(run) / "dropped"
    found = {path.name: path.read_text() for path in folder.iterdir()}
    assert set(found) == {"exact-duplicate.jsonl", "near-duplicate.jsonl"}
    texts = [json.loads(line)["text"] for text in found.values() for line in text.splitlines()]
    assert 3 <= len(texts) <= 30
    assert all(0 < len(text) <= 200 and "@mail.org" not in text for text in texts)


def test_the_documents_that_stay_lie_beside_their_tokens(pipeline: Any, sources: Any) -> None:
    run = pipeline.listed(sources, curation=CURATION, documents=True)
    pipeline.curate(run)
    artifact = work.artifact_folder(run)
    unpack = zstandard.ZstdDecompressor().stream_reader
    files = sorted((artifact / "documents").iterdir())
    text = b"".join(unpack(path.read_bytes()).read() for path in files).decode()
    lines = [json.loads(line) for line in text.split("\n")[:-1]]
    for split in ("train", "validation"):
        kept = [line["text"] + "<|endoftext|>" for line in lines if line["split"] == split]
        assert kept == documents(artifact, split)
    assert Counter(line["source"] for line in lines) == {"web": 600, "notes": 5}
    assert len({line["id"] for line in lines}) == len(lines)
    pipeline.output = pipeline.output.with_name("without")
    bare = pipeline.listed(sources, curation=CURATION, documents=False)
    pipeline.curate(bare)
    assert not (work.artifact_folder(bare) / "documents").exists()


def test_the_bytes_do_not_depend_on_order_or_kills(pipeline: Any, sources: Any) -> None:
    run = pipeline.listed(sources, curation=CURATION)
    first = pipeline.curate(run).artifact
    shutil.rmtree(work.artifact_folder(run).parent)
    # Pods that died: half a folder in place, a folder under another name, an empty manifest.
    for stage in ("clean", "tokenise"):
        broken = work.stage_folder(run, stage, 1)
        broken.mkdir(parents=True)
        (broken / "rows-00-000000.parquet").write_bytes(b"PAR1")
    (work.work_folder(run) / ".00000.abc").mkdir()
    (work.stage_folder(run, "dedup")).mkdir()
    (work.stage_folder(run, "dedup") / "manifest.json").write_text("{}")
    work.artifact_folder(run).mkdir()
    (work.artifact_folder(run) / "curation.json").write_text("{}")
    assert pipeline.curate(run, order=reversed(range(run.parts))).artifact == first


def test_the_bytes_of_a_unigram_tokenizer_do_not_depend_on_order(
    pipeline: Any, sources: Any
) -> None:
    run = pipeline.listed(sources, algorithm="Unigram")
    first = pipeline.curate(run).artifact
    described = json.loads((work.artifact_folder(run) / "tokenizer/tokenizer.json").read_text())
    assert described["model"]["type"] == "Unigram"
    shutil.rmtree(work.artifact_folder(run).parent)
    assert pipeline.curate(run, order=reversed(range(run.parts))).artifact == first


def test_the_bytes_do_not_depend_on_where_they_lie(
    pipeline: Any, sources: Any, tmp_path: Path
) -> None:
    first = pipeline.curate(pipeline.listed(sources, curation=CURATION)).artifact
    (tmp_path / "data").rename(tmp_path / "moved")
    for source in sources:
        source["uri"] = source["uri"].replace("/data/", "/moved/")
    pipeline.output = tmp_path / "elsewhere"
    second = pipeline.curate(pipeline.listed(sources, curation=CURATION)).artifact
    assert second.digest == first.digest
    assert second.uri != first.uri


def test_a_stage_that_is_done_is_not_done_again(pipeline: Any, sources: Any) -> None:
    run = pipeline.listed(sources)
    pipeline.stage(run, "clean", 0)
    folder = work.stage_folder(run, "clean", 0)
    before = {path: path.stat().st_mtime_ns for path in folder.iterdir()}
    inode = folder.stat().st_ino
    pipeline.stage(run, "clean", 0)
    assert {path: path.stat().st_mtime_ns for path in folder.iterdir()} == before
    assert folder.stat().st_ino == inode


def test_every_stage_of_a_finished_run_says_its_result_at_once(pipeline: Any, sources: Any) -> None:
    run = pipeline.listed(sources)
    done = pipeline.curate(run)
    for stage, part in (("clean", 0), ("dedup", None), ("tokenise", 2), ("publish", None)):
        assert pipeline.stage(run, stage, part) == done
    assert not work.work_folder(run).exists()


def test_the_order_is_that_of_the_seed_and_not_of_the_files(pipeline: Any, sources: Any) -> None:
    runs = [pipeline.listed(sources, seed=seed) for seed in (0, 1)]
    found = []
    for run in runs:
        pipeline.curate(run)
        found.append(documents(work.artifact_folder(run), "train"))
    assert found[0] != found[1]
    assert Counter(found[0]) == Counter(found[1])
    ids = [text for text in found[0] if text.startswith("Note")]
    assert ids != sorted(ids) or [text for text in found[1] if text.startswith("Note")] != ids


def test_the_same_documents_are_held_out_whatever_else_is_there(
    pipeline: Any, sources: Any
) -> None:
    both = pipeline.listed(sources, validation=0.2)
    pipeline.curate(both)
    alone = pipeline.listed(sources[:1], validation=0.2, seed=9)
    pipeline.curate(alone)
    held = set(documents(work.artifact_folder(both), "validation"))
    notes = {text for text in held if text.startswith("Note")}
    assert set(documents(work.artifact_folder(alone), "validation")) == held - notes


def test_without_dedup_copies_stay_and_stay_in_one_split(pipeline: Any, sources: Any) -> None:
    run = pipeline.listed(sources)
    summary = pipeline.curate(run).dataset
    assert summary.documents_kept == 705
    artifact = work.artifact_folder(run)
    train = {" ".join(t.split()) for t in documents(artifact, "train")}
    held = {" ".join(t.split()) for t in documents(artifact, "validation")}
    assert not train & held


def test_shards_smaller_than_a_part_give_the_same_stream(
    pipeline: Any, sources: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = pipeline.listed(sources)
    pipeline.curate(run)
    whole = documents(work.artifact_folder(run), "train")
    monkeypatch.setattr("cupola_trainer.curate.dedup._SHARD_BYTES", 10_000)
    pipeline.output = pipeline.output / "small"
    again = pipeline.listed(sources)
    pipeline.curate(again)
    folder = work.artifact_folder(again) / "train"
    assert len(list(folder.glob("*.tokens"))) > 2 * run.parts
    assert documents(work.artifact_folder(again), "train") == whole


def test_pairs_follow_their_documents_into_the_splits(pipeline: Any, tmp_path: Path) -> None:
    rows = [{"q": f"Add {i} and {i}.", "a": f"def f():\n    return {i} + {i}\n"} for i in range(80)]
    (tmp_path / "tasks.jsonl").write_text("\n".join(map(json.dumps, rows)))
    source = {"name": "tasks", "uri": (tmp_path / "tasks.jsonl").as_uri(), "format": "Jsonl"}
    run = pipeline.listed(
        [source],
        task={"input": "q", "output": "a"},
        curation={"quality": {"rules": "Code"}},
    )
    summary = pipeline.curate(run).dataset
    artifact = work.artifact_folder(run)
    pairs = {split: list(read_pairs(artifact, split)) for split in ("train", "validation")}
    assert summary.examples == len(pairs["train"]) > 0
    assert summary.validation_examples == len(pairs["validation"]) > 0
    assert sorted(pairs["train"] + pairs["validation"]) == sorted((r["q"], r["a"]) for r in rows)
    for split, found in pairs.items():
        texts = [text.removesuffix("<|endoftext|>") for text in documents(artifact, split)]
        assert [f"{q}\n\n{a}" for q, a in found] == texts


def test_records_without_a_pair_are_text_only(pipeline: Any, tmp_path: Path) -> None:
    rows = [{"text": f"text number {i}"} for i in range(40)]
    rows += [{"text": f"sum {i}", "q": f"Add {i}.", "a": str(2 * i)} for i in range(40)]
    (tmp_path / "mixed.jsonl").write_text("\n".join(map(json.dumps, rows)))
    source = {"name": "mixed", "uri": (tmp_path / "mixed.jsonl").as_uri(), "format": "Jsonl"}
    run = pipeline.listed([source], task={"input": "q", "output": "a"})
    summary = pipeline.curate(run).dataset
    assert summary.documents_kept == 80
    assert summary.examples + summary.validation_examples == 40
    pairs = list(read_pairs(work.artifact_folder(run), "train"))
    assert len(pairs) == summary.examples
    texts = documents(work.artifact_folder(run), "train")
    order = [text for text in texts if text.startswith("sum")]
    assert [f"sum {int(a) // 2}<|endoftext|>" for _, a in pairs] == order


def test_each_split_has_a_pair_even_where_pairs_are_few(pipeline: Any, tmp_path: Path) -> None:
    rows = [{"text": f"text number {i}"} for i in range(60)]
    rows += [{"q": f"Add {i}.", "a": str(i)} for i in range(2)]
    (tmp_path / "mixed.jsonl").write_text("\n".join(map(json.dumps, rows)))
    source = {"name": "mixed", "uri": (tmp_path / "mixed.jsonl").as_uri(), "format": "Jsonl"}
    run = pipeline.listed([source], task={"input": "q", "output": "a"}, validation=0.02)
    summary = pipeline.curate(run).dataset
    assert (summary.examples, summary.validation_examples) == (1, 1)


def test_the_tokenizer_of_another_dataset_is_taken_as_it_is(pipeline: Any, sources: Any) -> None:
    base = pipeline.listed(sources)
    made = pipeline.curate(base)
    taken = Input(kind="Dataset", name="base", uri=made.artifact.uri, digest=made.artifact.digest)
    run = pipeline.listed(sources[1:], vocab_size=None, tokenizer=taken)
    outcome = pipeline.curate(run)
    assert outcome.dataset.tokenizer_digest == made.dataset.tokenizer_digest
    assert outcome.dataset.vocabulary == made.dataset.vocabulary
    manifest, _ = verify(work.artifact_folder(run))
    assert manifest.inputs[-1] == taken.lineage()


def test_a_document_cannot_spell_the_end_token(pipeline: Any, tmp_path: Path) -> None:
    for i in range(4):
        (tmp_path / f"{i}.txt").write_text(f"text {i} <|endoftext|> more <|pad|>")
    source = {"name": "t", "uri": tmp_path.as_uri(), "format": "Text"}
    run = pipeline.listed([source])
    summary = pipeline.curate(run).dataset
    found = read_documents(work.artifact_folder(run) / "train", summary.vocabulary)
    assert len(found) == 3
    assert all(np.count_nonzero(d <= 1) == 1 for d in found)


def only(tmp_path: Path, *lines: str, **fields: str) -> list[dict[str, str]]:
    (tmp_path / "a.jsonl").write_text("\n".join(lines))
    uri = (tmp_path / "a.jsonl").as_uri()
    return [{"name": "web", "uri": uri, "format": "Jsonl", **fields}]


def test_when_nothing_is_left_the_rule_that_took_most_is_named(
    pipeline: Any, tmp_path: Path
) -> None:
    run = pipeline.listed(
        only(tmp_path, '{"text": "few words"}', '{"text": "and few"}', "{"),
        curation={"quality": {}, "maxBad": 0.5},
    )
    with pytest.raises(PodFailure) as failure:
        pipeline.curate(run)
    assert failure.value.reason == "DatasetEmpty"
    assert "none of 3 documents is left: rule min-words dropped 2" in failure.value.message
    assert "spec.curation.quality.minWords" in failure.value.message


def test_files_without_documents_are_an_empty_dataset(pipeline: Any, tmp_path: Path) -> None:
    run = pipeline.listed(only(tmp_path, ""))
    with pytest.raises(PodFailure, match="the files of web hold no document"):
        pipeline.curate(run)


def test_a_field_that_no_record_has_is_named_with_those_there_are(
    pipeline: Any, tmp_path: Path
) -> None:
    run = pipeline.listed(only(tmp_path, '{"body": "x", "id": 1}', '{"body": "y"}'))
    with pytest.raises(PodFailure) as failure:
        pipeline.stage(run, "clean", 0)
    assert failure.value.reason == "FieldMissing"
    assert "source web: no record has the text field text; there are: body, id" in (
        failure.value.message
    )


def test_a_task_whose_fields_no_record_has_is_refused(pipeline: Any, tmp_path: Path) -> None:
    run = pipeline.listed(
        only(tmp_path, '{"text": "x", "question": "y"}'), task={"input": "q", "output": "a"}
    )
    with pytest.raises(PodFailure) as failure:
        pipeline.curate(run)
    assert failure.value.reason == "FieldMissing"
    assert "both fields q and a; there are: text, question" in failure.value.message


@pytest.mark.parametrize("change", ["shorter", "different", "gone"])
def test_a_file_that_is_not_as_listed_stops_the_run(
    pipeline: Any, tmp_path: Path, change: str
) -> None:
    run = pipeline.listed(only(tmp_path, '{"text": "one"}'))
    path = tmp_path / "a.jsonl"
    if change == "gone":
        path.unlink()
    else:
        path.write_text({"shorter": "{}", "different": '{"text": "two"}'}[change])
    with pytest.raises(PodFailure) as failure:
        pipeline.stage(run, "clean", 0)
    assert failure.value.reason == "SourceChanged"
    assert "a.jsonl is not as it was listed" in failure.value.message


def test_private_data_can_drop_the_document_instead(pipeline: Any, tmp_path: Path) -> None:
    lines = ['{"text": "Ann, ann@mail.org"}', '{"text": "nobody"}', '{"text": "no one"}']
    run = pipeline.listed(only(tmp_path, *lines), curation={"pii": {"action": "Drop"}})
    summary = pipeline.curate(run).dataset
    assert [(r.name, r.count) for r in summary.dropped] == [("pii-email", 1)]
    assert summary.redacted == []
    told = [p for p in work.artifact_folder(run).rglob("*.json*") if p.suffix != ".zst"]
    assert not [path for path in told if "Ann" in path.read_text()]


def test_prompt_and_answer_are_redacted_as_the_text_is(pipeline: Any, tmp_path: Path) -> None:
    lines = [
        json.dumps({"q": f"Write to ann{i}@mail.org", "a": "call 212-736-5000"}) for i in range(4)
    ]
    run = pipeline.listed(
        only(tmp_path, *lines), task={"input": "q", "output": "a"}, curation={"pii": {}}
    )
    summary = pipeline.curate(run).dataset
    assert {r.name: r.count for r in summary.redacted} == {"Email": 4, "Phone": 4}
    pairs = set(read_pairs(work.artifact_folder(run), "train"))
    assert pairs == {("Write to <EMAIL>", "call <PHONE>")}


def test_stages_out_of_order_say_which_one_is_missing(pipeline: Any, sources: Any) -> None:
    run = pipeline.listed(sources)
    for stage, part, missing in (("dedup", 0, "clean"), ("tokenise", 0, "dedup")):
        with pytest.raises(PodFailure) as failure:
            pipeline.stage(run, stage, part)
        assert failure.value.reason == "StageMissing"
        assert missing in failure.value.message


def test_a_listing_that_was_changed_is_refused(pipeline: Any, sources: Any) -> None:
    run = pipeline.listed(sources)
    path = Path(run.listing.removeprefix("file://"))
    path.write_text(path.read_text().replace("0.jsonl", "9.jsonl"))
    with pytest.raises(PodFailure) as failure:
        pipeline.stage(run, "clean", 0)
    assert failure.value.reason == "ListingInvalid"


@pytest.mark.parametrize("index", ["", "5", "-1", "x"])
def test_a_pod_needs_to_know_its_part(
    pipeline: Any, sources: Any, monkeypatch: pytest.MonkeyPatch, index: str
) -> None:
    run = pipeline.listed(sources)
    monkeypatch.setenv("JOB_COMPLETION_INDEX", index)
    with pytest.raises(PodFailure, match="JOB_COMPLETION_INDEX is"):
        curate.main(run, Namespace(stage="clean"))


def test_pods_of_their_own_make_the_same_bytes_without_torch(
    pipeline: Any, sources: Any, tmp_path: Path
) -> None:
    run = pipeline.listed(sources, curation=CURATION)
    expected = pipeline.curate(run).artifact.digest
    again = CurateRun.model_validate(
        {**run.model_dump(by_alias=True), "output": (tmp_path / "pods").as_uri()}
    )
    file = tmp_path / "run.yaml"
    file.write_text(contract.dump(again))
    code = (
        "import sys\n"
        "sys.modules['torch'] = sys.modules['transformers'] = None\n"
        "from cupola_trainer.__main__ import main\n"
        "import os\n"
        "for stage in sys.argv[2:]:\n"
        "    for part in (2, 0, 4, 3, 1) if stage in ('clean', 'tokenise') else (0,):\n"
        "        os.environ['JOB_COMPLETION_INDEX'] = str(part)\n"
        "        if main(['curate', sys.argv[1], '--stage', stage]): sys.exit(1)\n"
    )
    before = time.time()
    for stages in (["clean", "dedup"], ["tokenise", "publish"]):
        threads = {"POLARS_MAX_THREADS": "1", "RAYON_NUM_THREADS": "1"}
        done = subprocess.run(
            [sys.executable, "-c", code, str(file), *stages],
            env={**os.environ, **threads, "TERMINATION_LOG": str(tmp_path / "log")},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
    said = json.loads((tmp_path / "log").read_text())
    assert said["artifact"]["digest"] == expected
    assert before < said["firstWorkAt"] < time.time()  # after imports, which begin after `before`


def test_every_stage_says_that_it_works_unless_it_is_done(
    pipeline: Any, sources: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def first(stage: str, part: int | None) -> float | None:
        monkeypatch.setattr(timesheet, "_first_work", None)
        pipeline.stage(run, stage, part)
        return timesheet.first_work()

    monkeypatch.setattr(timesheet, "_first_work", None)
    run = pipeline.listed(sources[1:])
    assert timesheet.first_work()
    for stage, parts in (("clean", run.parts), ("dedup", run.ranges), ("tokenise", run.parts)):
        assert all(first(stage, part) for part in range(parts))
        assert first(stage, 0) is None
    assert first("publish", None)
    assert first("publish", None) is None
