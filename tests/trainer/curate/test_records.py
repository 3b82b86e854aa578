from __future__ import annotations

import gzip
import json
import tracemalloc
from pathlib import Path
from typing import Any

import polars as pl
import pytest
import zstandard

from cupola_api.dataset import Source, Task
from cupola_trainer.curate import records
from cupola_trainer.curate.records import Record, Rejected, read

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
    known = {*records.RULE_NAMES, *records.BROKEN}
    assert {r.rule for r in found if isinstance(r, Rejected)} <= known
    assert [r.place for r in found if isinstance(r, Rejected)][:3] == ["line 2", "line 3", "line 4"]
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


def test_a_line_of_100_mb_is_never_held(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    with path.open("wb") as file:
        file.write(b'{"text": "before"}\n')
        file.seek(100 << 20, 1)  # a hole, which takes no room
        file.write(b'\n{"text": "after"}\n')
    tracemalloc.start()
    try:
        found = list(read(path, source("Jsonl"), None))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert found == [Record("before"), Rejected("too-large", place="line 2"), Record("after")]
    assert peak < 80 << 20


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
    assert lacking == [Rejected("missing-field", fields=("body", "id"), count=3)]
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


@pytest.mark.parametrize("name", ["a.jsonl.gz", "a.jsonl.zst"])
def test_a_damaged_file_is_read_up_to_the_damage(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    texts = [f"document {i} {i * i}" for i in range(5000)]
    write(path, "".join(json.dumps({"text": text}) + "\n" for text in texts).encode())
    whole = path.read_bytes()
    for broken, rule, least in (
        (whole[: len(whole) // 2], "cut-short", 500 if name.endswith("gz") else 0),
        (b"", "cut-short", 0),
        (b"no such format", "corrupt", 0),
        (whole[: len(whole) // 2] + bytes(200) + whole[len(whole) // 2 + 200 :], "corrupt", 0),
        (whole + b"more", "corrupt", len(texts)),
    ):
        path.write_bytes(broken)
        *good, last = read(path, source("Jsonl"), None)
        assert isinstance(last, Rejected)
        assert (last.rule, last.rest) == (rule, True)
        assert last.place == f"after line {len(good)}"
        # gzip says that the content is wrong when all of it was read.
        assert len(good) >= least
        if rule == "cut-short":
            assert [r.text for r in good if isinstance(r, Record)] == texts[: len(good)]


def test_rows_of_a_table_that_cannot_be_read_are_counted_and_the_others_read(
    tmp_path: Path,
) -> None:
    path = tmp_path / "a.parquet"
    frame = pl.DataFrame({"text": [f"document {i} {i * i}" for i in range(8000)]})
    frame.write_parquet(path, row_group_size=2000)
    whole = path.read_bytes()
    size = len(whole) // 4
    path.write_bytes(whole[:size] + b"\xff" * 4000 + whole[size + 4000 :])
    found = list(read(path, source("Parquet"), None))
    bad = [r for r in found if isinstance(r, Rejected)]
    assert {(r.rule, r.rest) for r in bad} == {("corrupt", False)}
    assert 0 < sum(r.count for r in bad) <= 4000
    good = [r.text for r in found if isinstance(r, Record)]
    assert len(good) + sum(r.count for r in bad) == 8000
    assert set(good) < set(frame["text"])
    for broken in (whole[: len(whole) // 2], b"", b"PAR1" * 5, whole[:-9] + b"\xff" + whole[-8:]):
        path.write_bytes(broken)
        (only,) = read(path, source("Parquet"), None)
        assert isinstance(only, Rejected)
        assert (only.rule in records.DAMAGED, only.place, only.rest) == (True, "footer", True)


@pytest.mark.parametrize("form", ["Jsonl", "Parquet"])
def test_a_document_may_lie_in_a_record_within_the_record(tmp_path: Path, form: str) -> None:
    values: list[dict[str, Any]] = [
        {"doc": {"body": {"text": "deep"}}, "url": "https://a.org/"},
        {"doc": {"body": {"text": None}}, "url": None},
        {"doc": {"body": None}, "url": "https://b.org/"},
    ]
    path = tmp_path / f"a.{form.lower()}"
    if form == "Parquet":
        pl.DataFrame(values).write_parquet(path)
    else:
        path.write_text("".join(json.dumps(value) + "\n" for value in values))
    found = list(read(path, source(form, text="doc.body.text"), None))
    assert found[0] == Record("deep", url="https://a.org/")
    assert rules(found) == ["ok", "missing-field", "missing-field"]
    lacking = list(read(path, source(form, text="doc.title.text"), None))
    assert sum(r.count for r in lacking if isinstance(r, Rejected)) == 3


def test_a_field_that_has_a_dot_in_its_name_is_meant_first(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"a.b": "its name", "a": {"b": "within"}}')
    assert list(read(tmp_path / "a.jsonl", source("Jsonl", text="a.b"), None)) == [
        Record("its name")
    ]


def test_an_address_that_is_no_text_is_left_out(tmp_path: Path) -> None:
    lines = '{"text": "x", "url": 5}\n{"text": "y", "url": "\\ud800"}'
    (tmp_path / "a.jsonl").write_text(lines)
    assert list(read(tmp_path / "a.jsonl", source("Jsonl"), None)) == [Record("x"), Record("y")]


def test_text_with_zero_bytes_is_broken(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"text": "a\\u0000b"}\n{"text": "good"}')
    assert rules(list(read(tmp_path / "a.jsonl", source("Jsonl"), None))) == ["nul", "ok"]
    (tmp_path / "a.txt").write_bytes(b"a\0b")
    assert rules(list(read(tmp_path / "a.txt", source("Text"), None))) == ["nul"]
