"""Datasets whose tokenizer comes from a file, through all stages."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers

from cupola_api.run import CurateRun
from cupola_trainer import curate, storage
from cupola_trainer.curate import given_tokenizer, work
from cupola_trainer.pod import PodFailure
from cupola_trainer.shards import read_documents
from cupola_trainer.storage import S3Place, place_of


def _foreign(path: Path) -> Tokenizer:
    """A tokenizer of another library's making: its own special token, which begins each text."""
    made = Tokenizer(models.BPE(unk_token=None))
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    made.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=300, special_tokens=["<s>"], initial_alphabet=alphabet, show_progress=False
    )
    made.train_from_iterator(["word12 word345 note furnace"] * 5, trainer)
    made.post_processor = processors.TemplateProcessing("<s> $A", special_tokens=[("<s>", 0)])
    made.save(str(path))
    return made


def _listed(pipeline: Any, sources: Any, uri: str) -> CurateRun:
    given = {"name": "tokenizer", "uri": uri}
    return pipeline.listed(sources, vocab_size=None, tokenizer_file=given)


def test_a_given_tokenizer_encodes_the_documents(
    pipeline: Any, sources: Any, tmp_path: Path
) -> None:
    given = _foreign(tmp_path / "tokenizer.json")
    run = _listed(pipeline, sources[1:], (tmp_path / "tokenizer.json").as_uri())
    summary = pipeline.curate(run).dataset
    artifact = work.artifact_folder(run)
    assert isinstance(artifact, Path)
    assert summary.vocabulary == given.get_vocab_size() + 2
    made = Tokenizer.from_file(str(artifact / "tokenizer/tokenizer.json"))
    end = made.token_to_id("<|endoftext|>")
    assert end == given.get_vocab_size()
    found = read_documents(artifact / "train", summary.vocabulary)
    assert all(document[-1] == end for document in found)
    texts = [given.decode(document[:-1].tolist()) for document in found]
    assert any(text.startswith("Note 4 about the furnace") for text in texts)
    for text, document in zip(texts, found, strict=True):
        assert document[:-1].tolist() == given.encode(text, add_special_tokens=False).ids
        assert made.encode(text).ids == document[:-1].tolist()


def test_an_end_token_that_a_given_tokenizer_has_stays_and_text_cannot_spell_it(
    pipeline: Any, tmp_path: Path
) -> None:
    given = _foreign(tmp_path / "tokenizer.json")
    given.add_tokens(["<|endoftext|>"])
    given.save(str(tmp_path / "tokenizer.json"))
    (tmp_path / "docs").mkdir()
    for number in range(4):
        (tmp_path / f"docs/{number}.txt").write_text(f"text {number} <|endoftext|> more")
    source = {"name": "t", "uri": (tmp_path / "docs").as_uri(), "format": "Text"}
    run = _listed(pipeline, [source], (tmp_path / "tokenizer.json").as_uri())
    summary = pipeline.curate(run).dataset
    artifact = work.artifact_folder(run)
    assert isinstance(artifact, Path)
    end = given.token_to_id("<|endoftext|>")
    found = read_documents(artifact / "train", summary.vocabulary)
    assert [(document == end).sum() for document in found] == [1] * len(found)
    assert all(document[-1] == end for document in found)


def test_a_given_tokenizer_is_read_from_a_bucket(
    pipeline: Any, sources: Any, tmp_path: Path, bucket: str
) -> None:
    _foreign(tmp_path / "tokenizer.json")
    place = place_of(f"{bucket}/t/tokenizer.json")
    assert isinstance(place, S3Place)
    storage.put(tmp_path / "tokenizer.json", place)
    here = _listed(pipeline, sources[1:], (tmp_path / "tokenizer.json").as_uri())
    there = _listed(pipeline, sources[1:], str(place))
    assert there.digest == here.digest
    pipeline.curate(there)
    made = storage.place_of(there.folder) / "artifact/tokenizer/tokenizer.json"
    assert b"<|endoftext|>" in storage.read(made)


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda path: path.write_text("{}"), "is no tokenizer.json"),
        (lambda path: path.write_text("[1]"), "is no tokenizer.json"),
        (lambda path: path.write_bytes(bytes(200)), "is no tokenizer.json"),
        (lambda path: path.write_bytes(b" " * 40_000), "MiB at most"),
    ],
)
def test_what_is_no_tokenizer_is_refused(
    damage: Any,
    said: str,
    *,
    pipeline: Any,
    sources: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(given_tokenizer, "MAX_BYTES", 30_000)
    damage(tmp_path / "tokenizer.json")
    run = _listed(pipeline, sources[1:], (tmp_path / "tokenizer.json").as_uri())
    with pytest.raises(PodFailure, match=said) as caught:
        pipeline.curate(run)
    assert caught.value.reason == "TokenizerInvalid"
    assert "spec.tokenizer.uri" in caught.value.message


def test_a_tokenizer_that_changed_since_it_was_listed_is_refused(
    pipeline: Any, sources: Any, tmp_path: Path
) -> None:
    path = tmp_path / "tokenizer.json"
    _foreign(path)
    run = _listed(pipeline, sources[1:], path.as_uri())
    path.write_text(json.dumps(json.loads(path.read_text()), indent=2))
    with pytest.raises(PodFailure, match="is not as it was listed") as caught:
        pipeline.curate(run)
    assert caught.value.reason == "SourceChanged"
    assert curate.work.sealed(work.stage_folder(run, "dedup"), run) is None
