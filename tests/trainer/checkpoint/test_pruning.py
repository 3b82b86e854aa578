"""Which checkpoints go: the oldest of the attempt, and those of attempts before it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from cupola_trainer.checkpoint import earlier_attempts, prune

OTHER_RUN = "sha256:" + "2" * 64


def _steps(run: Path) -> dict[str, list[int]]:
    return {
        attempt.name: sorted(int(path.name[5:]) for path in attempt.glob("checkpoints/step-*"))
        for attempt in sorted(run.iterdir())
    }


def test_the_newest_whole_ones_are_kept_and_leftovers_go(tmp_path: Path, save: Any) -> None:
    for step in (1, 2, 3, 4, 5, 10_000_000):
        save(tmp_path, step, size=1)
    folder = tmp_path / "checkpoints"
    (folder / "step-0000005" / "rank-00000.safetensors").write_bytes(b"short")
    (folder / ".step-0000099").mkdir()
    prune(folder, 3)
    assert sorted(path.name for path in folder.iterdir()) == [
        "step-0000003",
        "step-0000004",
        "step-10000000",
    ]


@pytest.fixture
def run(tmp_path: Path, save: Any) -> Path:
    """Two attempts that ended, each with its history and one with an artifact."""
    for attempt, steps in (("a1-x", (3, 6)), ("a2-x", (8, 11))):
        for step in steps:
            save(tmp_path / attempt, step, size=1)
        (tmp_path / attempt / "history.jsonl").write_text("{}\n")
    (tmp_path / "a1-x/artifact").mkdir()
    return tmp_path


def test_earlier_attempts_lose_theirs_when_this_one_has_enough_of_its_own(
    run: Path, save: Any
) -> None:
    attempt = run / "a3-x"
    earlier = earlier_attempts(attempt)
    save(attempt, 12, size=1)
    prune(attempt / "checkpoints", 2, earlier)
    assert _steps(run) == {"a1-x": [3, 6], "a2-x": [8, 11], "a3-x": [12]}
    save(attempt, 14, size=1)
    prune(attempt / "checkpoints", 2, earlier)
    assert _steps(run) == {"a1-x": [], "a2-x": [], "a3-x": [12, 14]}
    assert sorted(path.name for path in (run / "a1-x").iterdir()) == ["artifact", "history.jsonl"]
    assert [path.name for path in (run / "a2-x").iterdir()] == ["history.jsonl"]


def test_damaged_ones_of_this_attempt_do_not_count(run: Path, save: Any) -> None:
    attempt = run / "a3-x"
    earlier = earlier_attempts(attempt)
    (save(attempt, 12, size=1) / "state.json").unlink()
    save(attempt, 14, size=1)
    prune(attempt / "checkpoints", 2, earlier)
    assert _steps(run) == {"a1-x": [3, 6], "a2-x": [8, 11], "a3-x": [14]}


def test_an_old_attempt_that_lives_on_harms_no_newer_one(run: Path, save: Any) -> None:
    """The node of a2 is cut off; a3 goes on from step 6, which a2 does not see."""
    earlier = earlier_attempts(run / "a2-x")
    for attempt, step in (("a3-x", 7), ("a3-x", 9), ("a2-x", 14)):
        save(run / attempt, step, size=1)
    prune(run / "a2-x/checkpoints", 2, earlier)
    assert _steps(run) == {"a1-x": [], "a2-x": [11, 14], "a3-x": [7, 9]}


def test_an_old_attempt_that_was_held_up_as_it_began_harms_no_newer_one(
    run: Path, save: Any
) -> None:
    for step in (12, 13):
        save(run / "a10-x", step, size=1)
    assert [path.name for path in sorted(earlier_attempts(run / "a3-x"))] == ["a1-x", "a2-x"]


def test_attempts_of_a_resource_that_was_made_anew_begin_at_one_again(run: Path) -> None:
    assert [path.name for path in sorted(earlier_attempts(run / "a1-y"))] == ["a1-x", "a2-x"]


def test_what_is_newer_by_step_stays_until_it_is_overtaken(run: Path, save: Any) -> None:
    """The newest of a2 was damaged, so a3 went on from the one before."""
    (run / "a2-x/checkpoints/step-0000011/state.json").write_bytes(b"")
    attempt = run / "a3-x"
    earlier = earlier_attempts(attempt)
    for step in (9, 10):
        save(attempt, step, size=1)
    prune(attempt / "checkpoints", 2, earlier)
    assert _steps(run) == {"a1-x": [], "a2-x": [11], "a3-x": [9, 10]}
    for step in (11, 12):
        save(attempt, step, size=1)
    prune(attempt / "checkpoints", 2, earlier)
    assert _steps(run) == {"a1-x": [], "a2-x": [], "a3-x": [11, 12]}


def test_another_runs_checkpoint_stays(run: Path, save: Any) -> None:
    save(run / "a2-x", 7, size=1, run=OTHER_RUN)
    attempt = run / "a3-x"
    earlier = earlier_attempts(attempt)
    for step in (12, 13):
        save(attempt, step, size=1)
    prune(attempt / "checkpoints", 2, earlier)
    assert _steps(run) == {"a1-x": [], "a2-x": [7], "a3-x": [12, 13]}


def test_a_run_without_a_folder_has_no_earlier_attempts(tmp_path: Path) -> None:
    assert earlier_attempts(tmp_path / "run/a1-x") == []
