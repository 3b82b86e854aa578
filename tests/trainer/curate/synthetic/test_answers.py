"""What was answered is found again, by whom it concerns."""

from __future__ import annotations

from pathlib import Path

import pytest

from cupola_trainer import storage
from cupola_trainer.curate.synthetic import answers
from cupola_trainer.curate.synthetic.answers import Answer, Keeper, kept


def of(document: int, text: str = "yes", ask: str = "a") -> Answer:
    return Answer(f"{document:016x}-{ask * 32}", text, input_tokens=3, output_tokens=2)


def keys(*some: Answer) -> set[str]:
    return {one.key for one in some}


def test_many_small_pieces_become_one_and_lose_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(answers, "_MERGED", 4)
    some = [of(i) for i in range(11)]
    keeper = Keeper(tmp_path)
    for one in some:
        keeper.keep([one])
    keeper.keep([])
    assert len([*tmp_path.iterdir()]) == 2 + 3, "four and four together, three not yet"
    keeper.merge()
    keeper.merge()
    assert len([*tmp_path.iterdir()]) == 3
    assert kept(tmp_path, keys(*some)) == {one.key: one for one in some}


def test_only_pieces_that_reach_into_a_share_are_read(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keeper = Keeper(tmp_path)
    keeper.keep([of(i) for i in range(10, 20)])
    keeper.keep([of(i) for i in range(20, 30)])
    keeper.keep([of(5), of(100)])
    read = []
    real = storage.read
    monkeypatch.setattr(storage, "read", lambda place: read.append(place) or real(place))
    assert kept(tmp_path, keys(of(19), of(30))) == {of(19).key: of(19)}
    assert len(read) == 2, "that of 10 to 19 and that of 5 to 100"
    assert not kept(tmp_path, keys(of(101), of(4)))
    assert not kept(tmp_path, set())
    assert len(read) == 2


def test_of_two_answers_the_same_one_is_taken_in_any_order_of_the_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Keeper(tmp_path).keep([of(1, "first"), of(2)])
    Keeper(tmp_path).keep([of(1, "second"), of(2)])
    listed = storage.entries(tmp_path)
    found = []
    for order in (listed, listed[::-1]):
        monkeypatch.setattr(storage, "entries", lambda folder, order=order: order)
        found.append(kept(tmp_path, keys(of(1))))
    assert found[0] == found[1]


def test_what_is_no_piece_is_passed_over(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Keeper(tmp_path).keep([of(1)])
    (tmp_path / ".DS_Store").write_text("x")
    (tmp_path / "notes").mkdir()
    span = f"{0:016x}-{9:016x}"
    (tmp_path / f"{span}-{'a' * 16}").write_text("a file where a folder should be")
    (tmp_path / f"{span}-{'b' * 16}").mkdir()
    broken = tmp_path / f"{span}-{'c' * 16}"
    broken.mkdir()
    (broken / "answers.jsonl.zst").write_bytes(b"torn")
    assert kept(tmp_path, keys(of(1))) == {of(1).key: of(1)}
    assert f"{broken} is passed over" in capsys.readouterr().out
    assert not kept(tmp_path / "nothing", keys(of(1)))


def test_pieces_that_are_put_together_meanwhile_are_found_as_the_new_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    keeper = Keeper(tmp_path)
    some = [of(1), of(2)]
    for one in some:
        keeper.keep([one])
    real = storage.read

    def late(place: Path) -> bytes:
        keeper.merge()
        return real(place)

    monkeypatch.setattr(storage, "read", late)
    assert kept(tmp_path, keys(*some)) == {one.key: one for one in some}


def test_in_a_bucket_too(bucket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = storage.place_of(bucket) / "answers"
    monkeypatch.setattr(answers, "_MERGED", 2)
    some = [of(i) for i in range(3)]
    keeper = Keeper(folder)
    for one in some:
        keeper.keep([one])
    assert len(storage.entries(folder)) == 2
    assert kept(folder, keys(*some)) == {one.key: one for one in some}
