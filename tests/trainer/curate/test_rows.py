from __future__ import annotations

from pathlib import Path

import numpy as np
import polars as pl
import pytest
from hypothesis import given
from hypothesis import strategies as st

from cupola_trainer.curate import rows


def table(position: int, keys: list[int]) -> pl.DataFrame:
    """Rows of part 0 that are read from `position` on."""
    count = len(keys)
    columns = {
        "part": [0] * count,
        "position": range(position, position + count),
        "source": [0] * count,
        "high": [0] * count,
        "low": [0] * count,
        "key": keys,
        "lot": [0] * count,
        "bytes": [1] * count,
        "pair": [False] * count,
        "text": [f"text {position + i}" for i in range(count)],
        "input": [None] * count,
        "output": [None] * count,
        "url": [None] * count,
        "date": [None] * count,
    }
    return rows.table(columns)


@given(st.integers(1, 1000), st.data())
def test_a_range_of_keys_lies_in_the_slices_that_are_named(parts: int, data: st.DataObject) -> None:
    count = rows.slices(parts)
    assert 1 <= count <= rows.SLICES
    part = data.draw(st.integers(0, parts - 1))
    low, high = (edge * rows.KEYS // parts for edge in (part, part + 1))
    named = rows.slices_between(low, high, count)
    assert len(named) <= (1 if parts <= rows.SLICES else 2)
    for key in (low, high - 1, data.draw(st.integers(low, high - 1))):
        (one,) = rows.slices_between(key, key + 1, count)
        assert one in named
        assert rows.slices_of(np.array([key], np.uint64), count).tolist() == [one]


@pytest.mark.parametrize("count", [1, 3, 16])
def test_rows_come_back_whatever_the_slices_are(tmp_path: Path, count: int) -> None:
    keys = [2**64 - 1, 0, 2**63, 2**63 - 1, 12345, 2**64 // 3, 2**64 // 3 + 1, 2**60]
    rows.write(tmp_path, 0, [table(0, keys[:3]), table(3, keys[3:5])], count)
    rows.write(tmp_path, 1, [table(5, keys[5:])], count)
    found = rows.between([tmp_path], 0, rows.KEYS, count).sort("position")
    assert found["key"].to_list() == keys
    wanted = pl.DataFrame(
        {"part": [0] * 4, "position": [0, 2, 4, 7]},
        schema={"part": pl.UInt32, "position": pl.UInt32},
    )
    texts = [found["text"].to_list() for found in rows.texts_at({0: tmp_path}, wanted)]
    assert texts == [["text 0", "text 2", "text 4"], ["text 7"]]
    for low, high in ((0, 2**63), (2**63, 2**64), (12345, 12346), (1, 12345)):
        between = rows.between([tmp_path], low, high, count)
        assert sorted(between["key"].to_list()) == sorted(k for k in keys if low <= k < high)
        begins = map(rows.prefix, rows.slices_between(low, high, count))
        read = {key for path in rows.files(tmp_path, *begins) for key in _keys(path)}
        assert set(between["key"].to_list()) <= read


def _keys(path: Path) -> list[int]:
    return pl.read_parquet(path)["key"].to_list()
