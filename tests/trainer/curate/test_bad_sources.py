"""Sources with something wrong in them: what their pods say, and that they leave nothing behind."""

from __future__ import annotations

import contextlib
import errno
import gzip
import json
import os
import tempfile
from argparse import Namespace
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from cupola_api.dataset import RuleCount, Source
from cupola_api.outcome import FailureClass, Outcome
from cupola_api.run import ListRun
from cupola_trainer import curate
from cupola_trainer.curate import unreadable
from cupola_trainer.failures import failure_of
from cupola_trainer.pod import PodFailure
from cupola_trainer.storage import place_of

USER, DATA = FailureClass.USER, FailureClass.DATA
GOOD = b'{"text": "a good one"}\n'

BAD: dict[str, tuple[dict[str, bytes], str, FailureClass, str, str]] = {
    "no files": ({}, "Text", DATA, "SourceEmpty", "put some there or correct the format"),
    "files of another format": ({"a.csv": b"x"}, "Text", DATA, "SourceEmpty", r"\*.txt"),
    "a file of 0 bytes": ({"a.txt": b""}, "Text", DATA, "DatasetEmpty", "empty dropped 1; check that the files hold text"),
    "records in 0 bytes": ({"a.jsonl": b""}, "Jsonl", DATA, "DatasetEmpty", "hold no document; check uri and format"),
    "empty lines only": ({"a.jsonl": b"\n \n\r\n"}, "Jsonl", DATA, "DatasetEmpty", "hold no document; check"),
    "bytes that are no text": ({"a.txt": b"a\0b"}, "Text", DATA, "SourceUnreadable", "first a.txt: nul; remove what is not text"),
    "a file that grows without end": (
        {"a.jsonl.gz": gzip.compress(bytes(65 << 20))},
        "Jsonl", DATA, "SourceUnreadable", "first a.jsonl.gz, after line .: bomb: it grows to more than 300 times its size"),
    "white space only": ({"a.md": b" \n\t\n"}, "Text", DATA, "DatasetEmpty", "check that the files hold text"),
    "no text field in any record": (
        {"a.jsonl": b'{"body": "x"}\n{"body": "y", "id": 1}'},
        "Jsonl", USER, "FieldMissing", r"no record has the text field text; there are: body; name the right one in spec.sources"),
    "a text field that holds no text": ({"a.jsonl": b'{"text": 5}'}, "Jsonl", USER, "FieldMissing", "there are: text"),
    "text that is not UTF-8": ({"a.txt": b"\xff\xfeh\0i\0"}, "Text", DATA, "SourceUnreadable", "1 of 1 records cannot be read as Text, first a.txt: invalid-utf8; convert the files to UTF-8"),
    "records that are not UTF-8": ({"a.jsonl": b'{"text": "\xe9"}'}, "Jsonl", DATA, "SourceUnreadable", "first a.jsonl, line 1: invalid-utf8; convert the files to UTF-8"),
    "source code in Latin-1": (
        {"a.py": "# -*- coding: latin-1 -*-\nx = 'é'\n".encode("latin-1")},
        "Python", DATA, "SourceUnreadable", "convert the files to UTF-8"),
    "lines that are no objects": (
        {"a.jsonl": b'1\n"text"\n["text"]\nnull\n'},
        "Jsonl", DATA, "SourceUnreadable", "4 of 4 records.*, first a.jsonl, line 1: invalid-json; write one JSON object a line"),
    "one array of objects": (
        {"a.json": json.dumps([{"text": "a"}], indent=1).encode()},
        "Jsonl", DATA, "SourceUnreadable", "write one JSON object a line, or correct the format"),
    "a broken table": ({"a.parquet": b"PAR1 and no more PAR1"}, "Parquet", DATA, "SourceUnreadable", "1 of 1 files cannot be read as Parquet, first a.parquet, footer: corrupt: its footer is longer.*; repair or remove them, or raise"),
    "an empty table": ({"a.parquet": b""}, "Parquet", DATA, "SourceUnreadable", "a.parquet, footer: cut-short"),
    "a compressed file cut short": (
        {"a.jsonl.gz": gzip.compress(GOOD * 999)[:-20]},
        "Jsonl", DATA, "SourceUnreadable", "first a.jsonl.gz, after line [0-9]+: cut-short: the compressed data ends too early; repair or remove them"),
    "a file that is not compressed": ({"a.txt.gz": b"text"}, "Text", DATA, "SourceUnreadable", "first a.txt.gz: corrupt: Error -3 while decompressing data: incorrect header check; repair"),
    "a good file and a broken one": (
        {"a.jsonl": GOOD, "b.jsonl.gz": b"\x1f\x8b\x08"},
        "Jsonl", DATA, "SourceUnreadable", "1 of 2 files.*, first b.jsonl.gz"),
}  # fmt: skip


def at(folder: Path, form: str, **fields: Any) -> list[dict[str, Any]]:
    return [{"name": "web", "uri": folder.as_uri(), "format": form, **fields}]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "source"
    folder.mkdir()
    return folder


def counts(found: list[RuleCount]) -> dict[str, int]:
    return {one.name: one.count for one in found}


def path_of(outcome: Outcome) -> Path:
    place = place_of(outcome.artifact.uri) if outcome.artifact else None
    assert isinstance(place, Path)
    return place


def leftovers(output: Path) -> list[str]:
    """Files of stages that are not whole."""
    whole = {p.parent for p in output.rglob("manifest.json")}
    return [
        str(p.relative_to(output))
        for p in output.rglob("*")
        if p.is_file() and p.parent.name != "listings" and not whole & set(p.parents)
    ]


@pytest.mark.parametrize("name", BAD)
def test_a_source_that_cannot_be_used_is_said_in_a_sentence(
    pipeline: Any, folder: Path, name: str
) -> None:
    files, form, cause, reason, words = BAD[name]
    for path, data in files.items():
        (folder / path).write_bytes(data)
    with pytest.raises(PodFailure, match=words) as caught:
        pipeline.curate(pipeline.listed(at(folder, form)))
    outcome = caught.value.outcome()
    assert (outcome.failure, outcome.reason) == (cause, reason)
    assert outcome.message.isprintable()
    assert len(outcome.message) < 512
    assert leftovers(pipeline.output) == []


def test_what_is_broken_is_counted_listed_and_passed_over_up_to_a_limit(
    pipeline: Any, folder: Path
) -> None:
    bad = [
        b'{"body": "x"}',
        b"{",
        b"[]",
        b'{"text": "a secret \xff"}',
        b'{"text": " "}',
        b"",
        b'{"text": 1}',
    ]
    (folder / "a.jsonl").write_bytes(b"\n".join([*bad * 30, GOOD]))
    with pytest.raises(PodFailure, match="90 of 181 records cannot be read") as caught:
        pipeline.curate(pipeline.listed(at(folder, "Jsonl"), curation={"maxBad": 0.49}))
    assert caught.value.failure is DATA
    outcome = pipeline.curate(pipeline.listed(at(folder, "Jsonl"), curation={"maxBad": 0.5}))
    summary = outcome.dataset
    assert (summary.documents_read, summary.documents_kept) == (181, 1)
    assert counts(summary.dropped) == {"missing-field": 60, "empty": 30}
    assert counts(summary.quarantined) == {"invalid-json": 60, "invalid-utf8": 30}
    lines = (path_of(outcome) / "quarantine.jsonl").read_text()
    assert "secret" not in lines
    entries = [json.loads(line) for line in lines.splitlines()]
    assert len(entries) == 90
    assert entries[2] == {
        "source": "web",
        "file": "a.jsonl",
        "place": "line 4",
        "reason": "invalid-utf8",
        "documents": 1,
    }


def test_the_rest_of_a_damaged_file_is_one_document_that_nobody_read(
    pipeline: Any, folder: Path
) -> None:
    for i in range(10):
        lines = b"".join(b'{"text": "document %d of file %d"}\n' % (j, i) for j in range(9))
        (folder / f"{i}.jsonl.gz").write_bytes(gzip.compress(lines))
    whole = gzip.compress(b"".join(b'{"text": "%d"}\n' % (i * i * i) for i in range(8000)))
    (folder / "5.jsonl.gz").write_bytes(whole[: len(whole) // 2])
    outcome = pipeline.curate(pipeline.listed(at(folder, "Jsonl")))
    summary = outcome.dataset
    assert counts(summary.quarantined) == {"cut-short": 1}
    assert 2000 < summary.documents_read == summary.documents_kept + 1 < 6000
    (line,) = (path_of(outcome) / "quarantine.jsonl").read_text().splitlines()
    entry = json.loads(line)
    assert entry["place"] == f"after line {summary.documents_read - 9 * 9 - 1}"
    assert entry["detail"] == "the compressed data ends too early"


def test_names_in_the_data_stay_on_one_line_and_leave_room_for_the_remedy(
    pipeline: Any, folder: Path
) -> None:
    (folder / "a.jsonl").write_text(json.dumps({f"a\n\x1b[31m{i}" * 9: i for i in range(99)}))
    with pytest.raises(PodFailure) as caught:
        pipeline.curate(pipeline.listed(at(folder, "Jsonl")))
    message = caught.value.outcome().message
    assert message.isprintable()
    assert r"there are: a\n\x1b[31m0" in message
    assert message.endswith(" and more; name the right one in spec.sources[].text")
    (folder / "a.jsonl").rename(folder / "a\nb.jsonl.gz")
    with pytest.raises(PodFailure, match=r"Jsonl, first a\\nb.jsonl.gz, after line 0") as caught:
        pipeline.curate(pipeline.listed(at(folder, "Jsonl")))
    assert caught.value.message.isprintable()


def test_links_in_a_circle_are_no_files(pipeline: Any, folder: Path) -> None:
    (folder / "a.jsonl").write_bytes(GOOD)
    (folder / "self.jsonl").symlink_to("self.jsonl")
    (folder / "there.jsonl").symlink_to("back.jsonl")
    (folder / "back.jsonl").symlink_to("there.jsonl")
    (folder / "inner").mkdir()
    (folder / "inner/up").symlink_to(folder)
    assert pipeline.curate(pipeline.listed(at(folder, "Jsonl"))).dataset.documents_read == 1
    (folder / "circle").symlink_to("circle")
    with pytest.raises(PodFailure, match="there is nothing at") as caught:
        pipeline.listed(at(folder / "circle", "Jsonl"))
    assert (caught.value.reason, caught.value.failure) == ("SourceMissing", USER)


@contextlib.contextmanager
def nobody() -> Iterator[None]:
    """Modes do not bind root: as another user, if this one is root."""
    root = os.geteuid() == 0
    if root:
        os.seteuid(65534)
    try:
        yield
    finally:
        if root:
            os.seteuid(0)


@pytest.mark.parametrize("closed", [".", "inner", "inner/a.jsonl"])
def test_a_source_that_may_not_be_read_is_the_users_move(closed: str) -> None:
    with tempfile.TemporaryDirectory() as place:  # tmp_path is closed to others as a whole
        folder = Path(place)
        folder.chmod(0o755)
        (folder / "inner").mkdir()
        (folder / "inner/a.jsonl").write_bytes(GOOD)
        (folder / closed).chmod(0)
        source = Source.model_validate(at(folder, "Jsonl")[0])
        run = ListRun(namespace="n", name="d", output="file:///none", sources=[source])
        try:
            with nobody(), pytest.raises(PodFailure, match="Permission denied; let") as caught:
                curate.main(run, Namespace(stage="list"))
        finally:
            (folder / closed).chmod(0o755)
    assert (caught.value.reason, caught.value.failure) == ("SourceUnreadable", USER)


def test_storage_that_does_not_answer_says_nothing_of_the_source(pipeline: Any) -> None:
    with pytest.raises(OSError, match="Input/output error") as caught:
        pipeline.listed(at(Path("/proc/self/mem"), "Text"))
    failure = failure_of(caught.value)
    assert failure
    assert failure.failure is FailureClass.INFRASTRUCTURE


def test_a_file_that_goes_while_it_is_found_has_changed() -> None:
    source = Source(name="web", uri="file:///data", format="Text")
    gone = FileNotFoundError(errno.ENOENT, "No such file or directory")
    failure = unreadable.failure(source, "a.txt", gone)
    assert (failure.reason, failure.failure) == ("SourceChanged", DATA)
    assert "web: a.txt is not as it was listed; leave the files as they are" in failure.message
