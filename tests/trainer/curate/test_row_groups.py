"""Where the row groups of real Parquet files begin, and footers that nobody would write."""

from __future__ import annotations

import io
from contextlib import suppress
from pathlib import Path

import polars as pl
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cupola_trainer.curate import row_groups
from cupola_trainer.curate.packed import Damaged
from cupola_trainer.curate.row_groups import Rows, pieces


def table(rows: int) -> pl.DataFrame:
    return pl.DataFrame(
        {
            "id": range(rows),
            "text": [f"row {i}" for i in range(rows)],
            "meta": [{"list": [1.5], "flag": i % 2 == 0, "blob": b"x"} for i in range(rows)],
        },
        schema_overrides={"meta": pl.Struct({"list": pl.List(pl.Float64), "flag": pl.Boolean, "blob": pl.Binary})},
    )  # fmt: skip


def written(rows: int, group: int) -> bytes:
    file = io.BytesIO()
    table(rows).write_parquet(file, row_group_size=group)
    return file.getvalue()


WHOLE = written(40, 10)


@pytest.mark.parametrize(("rows", "group"), [(0, 10), (1, 10), (25, 10), (200, 10), (200, 200)])
def test_every_row_is_in_one_piece(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rows: int, group: int
) -> None:
    path = tmp_path / "a.parquet"
    path.write_bytes(written(rows, group))
    for piece, alone in ((0, True), (32 << 20, False)):
        monkeypatch.setattr(row_groups, "_PIECE", piece)
        found = [one for one in pieces(path) if one.height]
        assert sum(one.height for one in found) == rows
        assert [one.first for one in found] == [
            sum(before.height for before in found[:i]) for i in range(len(found))
        ]
        assert len(found) == (-(-rows // group) if alone else min(rows, 1))


def test_many_rows_are_more_than_one_piece(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.parquet"
    path.write_bytes(written(25, 25))
    monkeypatch.setattr(row_groups, "_ROWS", 10)
    found = pieces(path)
    assert [(one.first, one.height) for one in found] == [(0, 10), (10, 10), (20, 5)]
    assert str(found[1]) == "rows 11 to 20"


def test_halves_are_the_whole() -> None:
    assert Rows(7, 5, 0).halves() == (Rows(7, 2, 0), Rows(9, 3, 0))


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_a_footer_is_read_or_damaged_whatever_is_in_it(data: st.DataObject) -> None:
    length = int.from_bytes(WHOLE[-8:-4], "little")
    footer = bytearray(WHOLE[-8 - length : -8])
    for _ in range(data.draw(st.integers(1, 5))):
        footer[data.draw(st.integers(0, length - 1))] = data.draw(st.integers(0, 255))
    with suppress(Damaged):
        assert all(rows >= 0 and size >= 0 for rows, size in row_groups.row_groups(bytes(footer)))
