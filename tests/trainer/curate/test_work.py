from __future__ import annotations

from pathlib import Path

import pytest

from cupola_api.run import CurateRun
from cupola_trainer.curate import work


@pytest.fixture
def run(tmp_path: Path) -> CurateRun:
    return CurateRun(
        namespace="n",
        name="d",
        output=tmp_path.as_uri(),
        sources=[],
        listing="file:///l",
        listing_digest="sha256:" + "0" * 64,
        parts=1,
        curation={},
        validation=0.1,
        seed=0,
    )


def fill(folder: Path) -> work.Facts:
    (folder / "data").write_text("whole")
    return {"n": 1}


def test_a_committed_folder_is_whole_and_nothing_else_is_left(run: CurateRun) -> None:
    folder = work.stage_folder(run, "clean", 3)
    work.commit(folder, run, fill)
    manifest = work.require(folder, run)
    assert manifest.facts == {"n": 1}
    assert folder.name == "00003"
    assert [p.name for p in work.work_folder(run).iterdir()] == ["clean"]


def test_what_fails_half_way_leaves_nothing(run: CurateRun) -> None:
    def fails(folder: Path) -> work.Facts:
        (folder / "data").write_text("half")
        raise RuntimeError("died")

    folder = work.stage_folder(run, "dedup")
    with pytest.raises(RuntimeError):
        work.commit(folder, run, fails)
    assert list(work.work_folder(run).iterdir()) == []
    assert work.sealed(folder, run) is None


def test_a_broken_folder_is_replaced_and_a_whole_one_stays(run: CurateRun) -> None:
    folder = work.stage_folder(run, "dedup")
    folder.mkdir(parents=True)
    (folder / "rest").write_text("of a pod that died")
    work.commit(folder, run, fill)
    assert sorted(p.name for p in folder.iterdir()) == ["data", "manifest.json"]
    inode = folder.stat().st_ino
    work.commit(folder, run, fill)
    assert folder.stat().st_ino == inode


def test_a_twin_that_is_faster_wins(run: CurateRun) -> None:
    folder = work.stage_folder(run, "dedup")

    def slow(own: Path) -> work.Facts:
        work.commit(folder, run, fill)
        return fill(own)

    work.commit(folder, run, slow)
    assert work.require(folder, run).facts == {"n": 1}
    assert [p.name for p in work.work_folder(run).iterdir()] == ["dedup"]


def test_a_folder_of_another_run_does_not_count(run: CurateRun, tmp_path: Path) -> None:
    other = run.model_copy(update={"seed": 1})
    folder = work.stage_folder(run, "dedup")
    work.commit(folder, other, fill)
    assert work.sealed(folder, run) is None
    work.commit(folder, run, fill)
    assert work.sealed(folder, run) is not None
