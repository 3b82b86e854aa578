"""Checkpoints in a real bucket: saved, chosen, damaged, deleted, by processes that may die."""

from __future__ import annotations

import errno
import os
import threading
from typing import Any

import pytest

from cupola_api.artifact import MANIFEST
from cupola_api.outcome import FailureClass
from cupola_trainer import checkpoint, storage
from cupola_trainer.checkpoint import writer
from cupola_trainer.failures import failure_of
from cupola_trainer.pod import PodFailure
from cupola_trainer.storage import S3Place, place_of, s3

RUN = "sha256:" + "1" * 64


@pytest.fixture
def run(bucket: str) -> S3Place:
    found = place_of(f"{bucket}/run")
    assert isinstance(found, S3Place)
    return found


def names(place: S3Place) -> list[str]:
    return [one.path for one in s3.below(place)]


def test_each_rank_puts_its_own_file_and_the_manifest_is_last(
    run: S3Place, save: Any, same: Any, requests: Any
) -> None:
    path = save(run / "a1", 5)
    # One object is asked for (is the checkpoint there?), and each file is put once.
    assert sorted(requests.made) == ["GetObject"] + ["PutObject"] * 4
    assert names(path) == [
        "manifest.json",
        "rank-00000.safetensors",
        "rank-00001.safetensors",
        "state.json",
    ]
    assert same(path, 5)
    assert checkpoint.newest(run, RUN) == (path, [])


def test_the_newest_of_all_attempts_is_chosen(run: S3Place, save: Any) -> None:
    save(run / "a2-x", 7)
    save(run / "a10-x", 6)
    newest = save(run / "a10-x", 7)
    assert checkpoint.newest(run, RUN) == (newest, [])
    assert checkpoint.newest(run / "a1", RUN) == (None, [])


@pytest.mark.parametrize("name", ["rank-00001.safetensors", "state.json", MANIFEST])
@pytest.mark.parametrize("damage", ["cut", "flipped", "gone"])
def test_a_damaged_object_in_the_newest_is_passed_over(
    run: S3Place, save: Any, name: str, damage: str
) -> None:
    older, newer = save(run / "a1", 5), save(run / "a1", 6)
    data = s3.read(newer / name)[0]
    if damage == "gone":
        s3.delete([newer / name])
    else:
        s3.write(newer / name, data[:-1] if damage == "cut" else bytes([data[0] ^ 1]) + data[1:])
    path, passed_over = checkpoint.newest(run, RUN)
    assert path == older
    if (name, damage) == (MANIFEST, "gone"):
        assert passed_over == []  # without one it was never finished
        return
    (sentence,) = passed_over
    assert sentence.startswith("checkpoint a1/checkpoints/step-0000006 is passed over: ")
    assert f"{newer}/{name}" in sentence
    assert sentence.endswith("; going on from a1/checkpoints/step-0000005 instead")


@pytest.mark.parametrize("there", ["nothing", "a damaged one", "a whole one", "leftovers"])
def test_a_save_that_dies_leaves_the_old_checkpoint_or_the_new_one(
    run: S3Place, save: Any, same: Any, requests: Any, there: str
) -> None:
    old = save(run / "a1", 5, size=1)
    new = old.parent / "step-0000006"
    steps = set()
    for nth in range(1, 100):
        if there in ("a damaged one", "a whole one"):
            save(run / "a1", 6, size=1)
        if there == "a damaged one":
            s3.write(new / "state.json", b"")
        if there == "leftovers":
            s3.write(new / "rank-00000.safetensors", b"half")
        requests.made.clear()
        requests.die_at = nth
        try:
            save(run / "a1", 6, size=1)
        except requests.Died:
            pass
        else:
            break
        finally:
            requests.die_at = None
        path, passed_over = checkpoint.newest(run, RUN)
        step = int(path.name.removeprefix("step-"))
        assert same(path, step)
        assert passed_over == [] or there == "a damaged one"
        steps.add(step)
        storage.delete(new)
    # With the old manifest, bytes that are right again are the checkpoint again.
    assert steps == {"a whole one": {6}, "a damaged one": {5, 6}}.get(there, {5})
    assert nth > 3
    assert same(new, 6)


@pytest.mark.parametrize("victim", [0, 1])
def test_a_rank_that_dies_in_a_save_ends_it_for_the_other(
    run: S3Place, save: Any, same: Any, monkeypatch: pytest.MonkeyPatch, victim: int
) -> None:
    old = save(run / "a1", 5)
    put = storage.put

    def die(*arguments: Any) -> None:
        if dying == threading.get_ident():
            raise KeyboardInterrupt
        put(*arguments)

    def watch(rank: int) -> None:
        nonlocal dying
        if rank == victim:
            dying = threading.get_ident()

    dying = 0
    monkeypatch.setattr(writer.storage, "put", die)
    with pytest.raises((RuntimeError, KeyboardInterrupt)):
        save(run / "a1", 6, watch=watch)
    assert checkpoint.newest(run, RUN) == (old, [])
    monkeypatch.undo()
    assert same(old, 5)


def test_pruning_keeps_the_newest_whole_ones_and_clears_what_a_crash_left(
    run: S3Place, save: Any, same: Any
) -> None:
    for attempt, step in (("a1-x", 3), ("a1-x", 4), ("a2-x", 5), ("a2-x", 6), ("a2-x", 7)):
        save(run / attempt, step, size=1)
    s3.write(run / "a1-x/history.jsonl", b"{}\n")
    folder = run / "a2-x/checkpoints"
    s3.write(folder / "step-0000009/rank-00000.safetensors", b"unfinished")
    s3.write(folder / "step-0000006/state.json", b"cut")
    assert checkpoint.newest(run, RUN)[0] == folder / "step-0000007"
    earlier = checkpoint.earlier_attempts(run / "a2-x")
    assert earlier == [run / "a1-x"]
    checkpoint.prune(folder, 2, earlier)
    assert {name.partition("/")[0] for name in names(folder)} == {"step-0000005", "step-0000007"}
    assert names(run / "a1-x") == ["history.jsonl"]
    assert same(folder / "step-0000007", 7)


def test_a_deletion_that_dies_leaves_what_was_to_be_kept(
    run: S3Place, save: Any, same: Any, requests: Any
) -> None:
    for nth in range(1, 100):
        for step in (5, 6, 7):
            save(run / "a1", step, size=1)
        requests.made.clear()
        requests.die_at = nth
        try:
            checkpoint.prune(run / "a1/checkpoints", 1)
        except requests.Died:
            pass
        else:
            break
        finally:
            requests.die_at = None
        path, passed_over = checkpoint.newest(run, RUN)
        assert path is not None
        assert (path.name, passed_over) == ("step-0000007", [])
        assert same(path, 7)
    assert nth > 6
    assert {name.partition("/")[0] for name in names(run / "a1/checkpoints")} == {"step-0000007"}


@pytest.mark.usefixtures("new_connection")
def test_a_store_that_is_away_does_not_throw_the_run_away(
    run: S3Place, save: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    save(run / "a1", 5)
    monkeypatch.setattr(s3, "ATTEMPTS", 1)
    s3.client.cache_clear()
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:9")
    with pytest.raises(OSError, match="does not answer") as caught:
        checkpoint.newest(run, RUN)
    said = failure_of(caught.value)
    assert said is not None
    assert said.failure is FailureClass.INFRASTRUCTURE
    with pytest.raises(PodFailure, match=r"127\.0\.0\.1:9 does not answer"):
        save(run / "a1", 6, size=1)


def test_no_room_for_a_copy_is_no_reason_to_take_an_older_one(
    run: S3Place, save: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    save(run / "a1", 5)
    save(run / "a1", 6)

    def full(wanted: Any) -> None:
        del wanted
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(s3, "download", full)
    with pytest.raises(OSError, match="has no room"):
        checkpoint.newest(run, RUN)
