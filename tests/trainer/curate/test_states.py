"""What stays of documents, decided in pieces, beside the same decided at once with sets."""

from __future__ import annotations

import tempfile
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from cupola_trainer.curate import pairs_on_disk
from cupola_trainer.curate.pairs_on_disk import PIECE, Runs, append, in_order, mapped, merged
from cupola_trainer.curate.states import EXACT, NEAR, SIZES, STAYS, States

COUNTS = [7, 0, 9, 4]
NUMBERS = [part << 32 | place for part, count in enumerate(COUNTS) for place in range(count)]
"""The documents of four parts."""

Found = list[tuple[int, int]]


@st.composite
def pairs(draw: st.DrawFn) -> Found:
    """(copy, original), the latter earlier; both as places among all."""
    copies = draw(st.lists(st.integers(1, len(NUMBERS) - 1), max_size=40))
    return [(copy, draw(st.integers(0, copy - 1))) for copy in copies]


def expected(contents: list[int], near: Found) -> tuple[dict[int, int], dict[int, int]]:
    """(exact copies, near copies): of each its original, as the definition says."""
    exact = {i: contents.index(c) for i, c in enumerate(contents) if contents.index(c) < i}
    gone: dict[int, int] = {}
    for copy, original in sorted(near):
        if not {copy, original} & {*exact, *gone}:
            gone[copy] = original
    return exact, gone


def clusters(exact: dict[int, int], near: dict[int, int]) -> Counter[int]:
    copies = Counter(near.values())
    copies.update(near.get(original, original) for original in exact.values())
    bounds = (next((b for b in SIZES if n + 1 <= b), 0) for n in copies.values())
    return Counter(bounds)


def numbered(found: Found) -> pairs_on_disk.Pairs:
    return np.array([[NUMBERS[a], NUMBERS[b]] for a, b in found], np.uint64).reshape(-1, 2)


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.integers(0, 15), min_size=len(NUMBERS), max_size=len(NUMBERS)),
    pairs(),
    st.integers(1, 9),
    st.integers(1, 3),
)
def test_pieces_decide_as_the_whole_does(
    contents: list[int], near: Found, piece: int, files: int
) -> None:
    exact, gone = expected(contents, near)
    with tempfile.TemporaryDirectory() as place, pytest.MonkeyPatch.context() as patch:
        patch.setattr(pairs_on_disk, "PIECE", piece)
        folder = Path(place)
        for name, all_pairs in (("exact", [*exact.items()]), ("near", near)):
            for i in range(files):
                append(folder / f"{name}{i}", in_order(numbered(all_pairs[i::files])))
        states = States(folder, COUNTS)
        sizes = states.decide(
            [folder / f"exact{i}" for i in range(files)],
            [folder / f"near{i}" for i in range(files)],
        )
    wanted = np.full(len(NUMBERS), STAYS)
    wanted[[*exact]] = EXACT
    wanted[[*gone]] = NEAR
    assert states.all.tolist() == wanted.tolist()
    assert sizes == clusters(exact, gone)


def test_large_clusters_are_counted_together(tmp_path: Path) -> None:
    states = States(tmp_path, [2200])
    exact = [(i, 0) for i in range(10, 13)] + [(21, 20)]
    near = [(20, 0), (30, 2), *((i, 3) for i in range(1000, 2100))]
    for name, found in (("exact", exact), ("near", near)):
        append(tmp_path / name, in_order(np.array(found, np.uint64)))
    # 0 with three exact copies, a near one and the exact copy of that; 2 with one; 3 with 1,100.
    assert states.decide([tmp_path / "exact"], [tmp_path / "near"]) == {8: 1, 2: 1, 0: 1}


def test_of_no_documents_none_stays(tmp_path: Path) -> None:
    (tmp_path / "none").touch()
    states = States(tmp_path, [0, 0])
    assert states.decide([tmp_path / "none"], [tmp_path / "none"]) == {}
    assert len(states.all) == 0


@settings(max_examples=60, deadline=None)
@given(st.lists(pairs(), min_size=1, max_size=4), st.integers(1, 12))
def test_pairs_come_in_order_once_and_all_of_a_document_together(
    runs: list[Found], piece: int
) -> None:
    with tempfile.TemporaryDirectory() as place, pytest.MonkeyPatch.context() as patch:
        patch.setattr(pairs_on_disk, "PIECE", piece)
        kept = Runs(Path(place), "near")
        for run in runs:
            kept.add(np.array(run, np.uint64).reshape(-1, 2))
        kept.join(Path(place) / "all")
        assert [path.name for path in Path(place).iterdir()] == ["all"]
        wanted = sorted({pair for run in runs for pair in run})
        assert [tuple(pair) for pair in mapped(Path(place) / "all").tolist()] == wanted
        seen = [set(one[:, 0].tolist()) for one in merged([Path(place) / "all"])]
    assert sum(map(len, seen)) == len(set().union(*seen))


def test_a_piece_is_bounded_whatever_there_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pairs_on_disk, "PIECE", 64)
    for i in range(4):
        numbers = np.arange(i, 4000, 4, dtype=np.uint64) + np.uint64(1)
        append(tmp_path / str(i), np.stack([numbers, numbers - np.uint64(1)], axis=1))
    sizes = [len(one) for one in merged([tmp_path / str(i) for i in range(4)])]
    assert sum(sizes) == 4000
    assert max(sizes) <= 2 * 64
    assert PIECE > 64
