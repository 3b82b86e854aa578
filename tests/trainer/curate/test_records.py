from __future__ import annotations

import gzip
import json
from pathlib import Path

import polars as pl
import pytest
import zstandard

from cupola_api.dataset import Source, Task
from cupola_trainer.curate import records
from cupola_trainer.curate.records import Record, Rejected, read
from cupola_trainer.pod import PodFailure

TASK = Task(input="q", output="a")


def source(form: str, **fields: str) -> Source:
    return Source(name="web", uri="file:///data", format=form, **fields)


def write(path: Path, data: bytes) -> Path:
    packed = {".gz": gzip.compress, ".zst": zstandard.compress}.get(path.suffix)
    path.write_bytes(packed(data) if packed else data)
    return path


def rules(found: list[Record | Rejected]) -> list[str]:
    return [r.rule if isinstance(r, Rejected) else "ok" for r in found]


@pytest.mark.parametrize("suffix", ["", ".gz", ".zst"])
def test_jsonl_is_read_plain_and_compressed(tmp_path: Path, suffix: str) -> None:
    lines = '\ufeff{"text": "one"}\n\n  \r\n{"text": "zwei ß", "n": 1}\r\n{"text": "last"}'
    path = write(tmp_path / f"a.jsonl{suffix}", lines.encode())
    found = list(read(path, source("Jsonl"), None))
    assert found == [Record("one"), Record("zwei ß"), Record("last")]


def test_what_is_wrong_with_a_line_is_named_and_the_others_are_read(tmp_path: Path) -> None:
    lines = [
        b'{"text": "good"}',
        b"{broken",
        b'["a list"]',
        b'{"text": "\xff\xfe"}',
        b'{"text": "half \\ud800 a pair"}',
        b'{"body": "x", "id": 1}',
        b'{"text": null}',
        b'{"text": 5}',
        b'{"text": " \\n "}',
        b"[" * 100_000,
        b'{"text": ' + b"9" * 10_000 + b"}",
        b'{"text": "good too"}',
    ]
    path = write(tmp_path / "a.jsonl", b"\n".join(lines))
    found = list(read(path, source("Jsonl"), None))
    assert rules(found) == [
        "ok",
        "invalid-json",
        "invalid-json",
        "invalid-utf8",
        "invalid-utf8",
        "missing-field",
        "missing-field",
        "missing-field",
        "empty",
        "invalid-json",
        "invalid-json",
        "ok",
    ]
    assert {r.rule for r in found if isinstance(r, Rejected)} <= set(records.RULE_NAMES)
    missing = [r for r in found if isinstance(r, Rejected) and r.rule == "missing-field"]
    assert missing[0].fields == ("body", "id")


def test_a_line_longer_than_a_document_may_be_is_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(records, "MAX_BYTES", 40)
    monkeypatch.setattr(records, "MAX_LINE_BYTES", 160)
    lines = [json.dumps({"text": "x" * n}) for n in (1, 500, 40, 41)]
    path = write(tmp_path / "a.jsonl", "\n".join(lines).encode())
    assert rules(list(read(path, source("Jsonl"), None))) == ["ok", "too-large", "ok", "too-large"]
    path = write(tmp_path / "a.txt", b"x" * 41)
    assert rules(list(read(path, source("Text"), None))) == ["too-large"]


def test_prompt_and_answer_are_the_document_unless_there_is_a_text(tmp_path: Path) -> None:
    lines = ['{"q": "1+1?", "a": "2"}', '{"q": "1+1?", "a": "2", "text": "sum"}', '{"q": "1+1?"}']
    path = write(tmp_path / "a.jsonl", "\n".join(lines).encode())
    found = list(read(path, source("Jsonl"), TASK))
    assert found == [
        Record("1+1?\n\n2", "1+1?", "2", composed=True),
        Record("sum", "1+1?", "2"),
        Rejected("missing-field", fields=("q",)),
    ]


@pytest.mark.parametrize(
    "rest", ["", ', "q": "1+1?"', ', "q": "1+1?", "a": ""', ', "q": 1, "a": "2"']
)
def test_a_text_without_a_whole_pair_is_text_only(tmp_path: Path, rest: str) -> None:
    path = write(tmp_path / "a.jsonl", f'{{"text": "sum"{rest}}}'.encode())
    (record,) = read(path, source("Jsonl"), TASK)
    assert isinstance(record, Record)
    assert (record.text, record.input, record.output) == ("sum", None, None)
    assert record.fields[0] == "text"


def test_a_pair_with_a_blank_side_and_no_text_is_empty(tmp_path: Path) -> None:
    path = write(tmp_path / "a.jsonl", b'{"q": "1+1?", "a": " "}')
    assert rules(list(read(path, source("Jsonl"), TASK))) == ["empty"]


def test_parquet_is_read_with_the_fields_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    rows = {"body": ["one", None, " "], "id": [1, 2, 3]}
    pl.DataFrame(rows).write_parquet(path)
    found = list(read(path, source("Parquet", text="body"), None))
    assert rules(found) == ["ok", "missing-field", "empty"]
    assert found[0] == Record("one")
    lacking = list(read(path, source("Parquet"), None))
    assert lacking == [Rejected("missing-field", fields=("body", "id"))] * 3
    assert rules(list(read(path, source("Parquet", text="id"), None))) == ["missing-field"] * 3


def test_parquet_with_prompt_and_answer(tmp_path: Path) -> None:
    path = tmp_path / "a.parquet"
    pl.DataFrame({"q": ["1+1?"], "a": ["2"]}).write_parquet(path)
    found = list(read(path, source("Parquet"), TASK))
    assert found == [Record("1+1?\n\n2", "1+1?", "2", composed=True)]


@pytest.mark.parametrize("suffix", ["", ".gz", ".zst"])
def test_a_text_file_is_one_document(tmp_path: Path, suffix: str) -> None:
    path = write(tmp_path / f"a.md{suffix}", "\ufeff# Title\n\ntext é\n".encode())
    assert list(read(path, source("Text"), None)) == [Record("# Title\n\ntext é\n")]


def test_a_python_file_is_one_document_or_none(tmp_path: Path) -> None:
    path = write(tmp_path / "a.py", b"x = 1\n")
    assert list(read(path, source("Python"), None)) == [Record("x = 1\n")]
    write(path, b"# \xe9\n")
    assert rules(list(read(path, source("Python"), None))) == ["invalid-utf8"]
    write(path, b"\n")
    assert rules(list(read(path, source("Python"), None))) == ["empty"]


def test_a_file_of_many_frames_is_read_to_its_end(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl.zst"
    lines = [json.dumps({"text": f"document {i}"}).encode() + b"\n" for i in range(2000)]
    path.write_bytes(b"".join(zstandard.compress(line) for line in lines))
    assert len(list(read(path, source("Jsonl"), None))) == 2000


@pytest.mark.parametrize("name", ["a.jsonl.gz", "a.jsonl.zst", "a.parquet"])
def test_a_damaged_file_is_a_failure_that_names_it(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    text = "".join(json.dumps({"text": f"document {i} {i * i}"}) + "\n" for i in range(3000))
    if name.endswith(".parquet"):
        pl.DataFrame({"text": text.split("\n")}).write_parquet(path)
    else:
        write(path, text.encode())
    whole = path.read_bytes()
    form = "Parquet" if name.endswith(".parquet") else "Jsonl"
    for broken in (
        whole[: len(whole) // 2],
        b"no such format",
        whole[:30] + bytes(200) + whole[230:],
    ):
        path.write_bytes(broken)
        with pytest.raises(PodFailure) as failure:
            list(read(path, source(form), None))
        assert failure.value.reason == "SourceUnreadable"
        assert f"source web: {name} cannot be read" in failure.value.message
