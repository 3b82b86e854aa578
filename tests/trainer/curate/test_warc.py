"""Records of web archives: whole, and with something wrong in between."""

from __future__ import annotations

import gzip
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from cupola_trainer.curate import members, warc
from cupola_trainer.curate.warc import Broken, WarcRecord, warc_records

from .archives import page, record, write

PAGES = [page(i) for i in range(8)]
PACKED = [gzip.compress(one, mtime=0) for one in PAGES]


def read(path: Path) -> list[str]:
    """The address of each record, or what is broken about it."""
    return [
        found.rule if isinstance(found, Broken) else found.headers["warc-target-uri"][20:]
        for found in warc_records(path)
    ]


@pytest.fixture(params=["a.warc", "a.warc.gz"])
def path(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    return tmp_path / str(request.param)


def test_records_are_read_with_their_headers_and_content(path: Path) -> None:
    write(
        path, [record("warcinfo", b"software: x\r\n"), record("metadata", b"", X_Y="z: 1"), page(1)]
    )
    info, meta, one = warc_records(path)
    assert isinstance(info, WarcRecord)
    assert info.content == b"software: x\r\n"
    assert isinstance(meta, WarcRecord)
    assert (meta.number, meta.content, meta.headers["x-y"]) == (2, b"", "z: 1")
    assert isinstance(one, WarcRecord)
    assert one.headers["warc-date"] == "2026-01-02T03:04:05Z"
    assert one.content is not None
    assert one.content.startswith(b"HTTP/1.1 200 OK\r\n")


def test_an_archive_that_was_packed_as_a_whole_is_read_too(tmp_path: Path) -> None:
    (tmp_path / "a.warc.gz").write_bytes(gzip.compress(b"".join(PAGES)))
    assert read(tmp_path / "a.warc.gz") == [*"01234567"]


def test_pieces_of_a_large_member_are_read_as_they_come(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(members, "WHOLE", 1000)
    monkeypatch.setattr(members, "_PIECE", 50)
    (tmp_path / "a.warc.gz").write_bytes(gzip.compress(b"".join(PAGES)) + PACKED[0])
    assert read(tmp_path / "a.warc.gz") == [*"012345670"]


@pytest.mark.parametrize("length", [0, 5, 400, 700])
def test_a_wrong_length_costs_that_record_and_no_other(path: Path, length: int) -> None:
    bad = record("response", b"x" * 300, length=length, WARC_Target_URI="https://example.org/bad")
    write(path, [PAGES[0], bad, PAGES[1], PAGES[2]])
    assert read(path) == ["0", "broken-record", "1", "2"]


@pytest.mark.parametrize(
    "bad",
    [
        b"no record at all\r\n\r\n",
        b"WARC/1.0\r\nWARC-Type: response\r\n\r\nno length\r\n\r\n",
        b"WARC/1.0\r\nContent-Length: -5\r\n\r\n",
        b"WARC/1.0\r\nContent-Length: \xb2\r\n\r\n",
        b"WARC/1.0\r\nX: " + b"x" * 100_000 + b"\r\nContent-Length: 0\r\n\r\n\r\n\r\n",
    ],
)
def test_headers_that_are_none_cost_one_record(path: Path, bad: bytes) -> None:
    write(path, [PAGES[0], bad, PAGES[1]])
    assert read(path) == ["0", "broken-record", "1"]


def test_a_record_larger_than_is_held_is_passed_over(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(warc, "LARGEST", 1000)
    large = record("response", b"x" * 5000, WARC_Target_URI="https://example.org/large")
    write(path, [PAGES[0], large, PAGES[1]])
    found = [one.content for one in warc_records(path) if isinstance(one, WarcRecord)]
    assert [content is None for content in found] == [False, True, False]
    write(path, [PAGES[0], large[:3000]])
    assert read(path) == ["0", "cut-short"]


def test_a_file_that_is_cut_short_says_so_at_its_end(path: Path) -> None:
    write(path, PAGES)
    path.write_bytes(path.read_bytes()[:-100])
    *_, last = warc_records(path)
    assert isinstance(last, Broken)
    assert last.rest
    assert read(path)[:-1] == [*"0123456"]


def test_an_empty_archive_holds_nothing_and_an_empty_packed_one_is_no_archive(
    tmp_path: Path,
) -> None:
    (tmp_path / "a.warc").touch()
    (tmp_path / "a.warc.gz").touch()
    assert read(tmp_path / "a.warc") == []
    assert read(tmp_path / "a.warc.gz") == ["cut-short"]


def test_zeros_that_fill_up_a_tape_are_no_damage(tmp_path: Path) -> None:
    (tmp_path / "a.warc.gz").write_bytes(PACKED[0] + bytes(40_000))
    assert read(tmp_path / "a.warc.gz") == ["0"]


def test_a_file_that_is_damaged_all_over_is_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(members, "_MOST_DAMAGED", 10)
    (tmp_path / "a.warc.gz").write_bytes(PACKED[0] + b"\x1f\x8b\x08" * 500 + PACKED[1])
    *_, last = warc_records(tmp_path / "a.warc.gz")
    assert isinstance(last, Broken)
    assert last.rest


def test_a_bomb_is_not_unpacked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(members, "FREE", 1 << 20)
    (tmp_path / "a.warc.gz").write_bytes(PACKED[0] + gzip.compress(bytes(4 << 20)) + PACKED[1])
    assert read(tmp_path / "a.warc.gz") == ["0", "bomb"]


@settings(
    max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    st.lists(st.tuples(st.integers(0, 7), st.integers(0, 10**6), st.integers(1, 255)), max_size=4),
    st.booleans(),
)
def test_no_record_is_lost_but_those_that_are_named(
    tmp_path: Path, flips: list[tuple[int, int, int]], cut: bool
) -> None:
    """Bytes that flip cost the members that they are in, and a cut the last one."""
    records = [bytearray(one) for one in PACKED]
    for number, place, mask in flips:
        # Not the header: of its time and system gzip has no checksum.
        records[number][10 + place % (len(records[number]) - 10)] ^= mask
    changed = [bytes(one) != whole for one, whole in zip(records, PACKED, strict=True)]
    data = b"".join(records)
    (tmp_path / "a.warc.gz").write_bytes(data[:-9] if cut else data)
    found = read(tmp_path / "a.warc.gz")
    good = [name for name in found if name.isdigit()]
    whole = [str(i) for i in range(8) if not changed[i] and not (cut and i == 7)]
    assert good == whole
    assert (len(good) == len(found)) == (len(good) == 8)
