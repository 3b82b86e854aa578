"""Token streams over many pieces, on a disk and in a real bucket."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cupola_api.artifact import ArtifactInvalid
from cupola_trainer import shards
from cupola_trainer.shards import INDEX, Index, write_index, write_shard
from cupola_trainer.storage import Place, S3Place, place_of, s3, scratch
from cupola_trainer.storage.pieces import Brought
from cupola_trainer.stream import Stream

PIECE = 64
VOCABULARY = 1 << 17
"""Tokens of four bytes: 16 a piece."""


@pytest.fixture(autouse=True)
def _small_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shards, "PIECE_BYTES", PIECE)


@pytest.fixture
def split(tmp_path: Path) -> Path:
    """Tokens 0, 1, ... 204 in shards of 100, 0, 5 and 100."""
    folder = tmp_path / "train"
    begin = 0
    for number, size in enumerate((100, 0, 5, 100)):
        write_shard(folder, number, [range(begin, begin + size)], VOCABULARY)
        begin += size
    write_index(folder, VOCABULARY)
    return folder


def stream(place: Place, split: Path, *, room: int = 1 << 20, opened: int = 3) -> Stream:
    return Stream(place, split / INDEX, VOCABULARY, room=room, opened=opened)


def in_bucket(split: Path, bucket: str) -> S3Place:
    place = place_of(f"{bucket}/train")
    assert isinstance(place, S3Place)
    s3.upload((path, place / path.name) for path in split.glob("*.tokens"))
    return place


def kept() -> list[Path]:
    return [p for p in scratch.root().glob("pieces-*/*") if not p.name.startswith(".")]


def read_all(tokens: Stream) -> None:
    for length in (1, 16, 17, 60, 205):
        starts = np.arange(0, len(tokens) - length + 1)
        found = tokens.read(starts, length)
        assert found.dtype == np.int64
        assert np.array_equal(found, starts[:, None] + np.arange(length))


def test_tokens_are_read_anywhere_over_pieces_and_shards(split: Path) -> None:
    tokens = stream(split, split)
    assert len(tokens) == 205
    read_all(tokens)


def test_the_index_says_where_each_piece_lies(split: Path) -> None:
    index = Index(split / INDEX, VOCABULARY)
    pieces = [index.piece(number) for number in range(index.count)]
    assert [(p.file, p.begin, p.size) for p in pieces] == [
        *(("00000.tokens", at, min(PIECE, 400 - at)) for at in range(0, 400, PIECE)),
        ("00002.tokens", 0, 20),
        *(("00003.tokens", at, min(PIECE, 400 - at)) for at in range(0, 400, PIECE)),
    ]
    assert index.find(np.array([0, 15, 16, 99, 100, 104, 105, 204])).tolist() == [
        *(0, 0, 1, 6, 7, 7, 8, 14)
    ]


def test_shards_follow_one_another_by_number(tmp_path: Path) -> None:
    folder = tmp_path / "train"
    for begin, number in ((0, 99_999), (20, 100_000), (40, 1_000_000)):
        write_shard(folder, number, [range(begin, begin + 20)], VOCABULARY)
    write_index(folder, VOCABULARY)
    tokens = stream(folder, folder)
    assert tokens.read(np.array([0]), 60)[0].tolist() == [*range(60)]


@pytest.mark.parametrize(
    ("damage", "said"),
    [
        (lambda path: path.write_bytes(b"x" * 400), "has other content than its index says"),
        (
            lambda path: path.write_bytes(path.read_bytes()[:-1]),
            "has 399 bytes, fewer than its index says",
        ),
        (lambda path: path.unlink(), "is missing"),
    ],
)
def test_a_damaged_piece_is_refused_when_it_is_read(
    damage: Any, said: str, split: Path, bucket: str
) -> None:
    damage(split / "00003.tokens")
    for place in (split, in_bucket(split, bucket)):
        tokens = stream(place, split)
        assert tokens.read(np.array([0]), 105).shape == (1, 105)
        with pytest.raises(ArtifactInvalid, match=rf"{place}/00003.tokens {said}"):
            tokens.read(np.array([195]), 10)


def test_what_lies_in_a_bucket_is_read_through_a_bounded_folder(split: Path, bucket: str) -> None:
    read_all(stream(in_bucket(split, bucket), split, room=5 * PIECE))
    assert 0 < sum(path.stat().st_size for path in kept()) <= 5 * PIECE


def test_a_piece_is_brought_once(split: Path, bucket: str, requests: Any) -> None:
    place = in_bucket(split, bucket)
    requests.made.clear()
    for _ in range(2):  # two ranks of a machine
        read_all(stream(place, split))
    assert requests.made == ["GetObject"] * 15


def test_what_is_needed_next_is_brought_ahead(split: Path, bucket: str, requests: Any) -> None:
    tokens = stream(in_bucket(split, bucket), split)
    tokens.bring(np.array([[0, 20], [104, 105]]), np.array([[190, 205]]))
    pieces = tokens._pieces
    assert isinstance(pieces, Brought)
    for thread in pieces._threads:
        thread.join(10)
    assert len(kept()) == 5
    requests.made.clear()
    tokens.read(np.array([0, 185]), 20)
    assert requests.made == []


def test_ranks_that_make_room_at_the_same_time_do_not_disturb_one_another(
    split: Path, bucket: str
) -> None:
    place = in_bucket(split, bucket)
    right: list[int] = []

    def rank(first: int) -> None:
        tokens = stream(place, split, room=3 * PIECE, opened=1)
        for turn in range(30):
            start = (first + turn * 37) % 186
            found = tokens.read(np.array([start]), 20)[0].tolist()
            right.append(found == [*range(start, start + 20)])

    threads = [threading.Thread(target=rank, args=(number * 50,)) for number in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert right == [True] * 90
