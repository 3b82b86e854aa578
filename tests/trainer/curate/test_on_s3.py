"""Datasets whose sources and whose stages lie in a real bucket."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from cupola_api.artifact import MANIFEST
from cupola_api.dataset import Source
from cupola_api.outcome import FailureClass, read
from cupola_api.run import TERMINATION_LOG, CurateRun, ListRun, dump
from cupola_trainer import command, storage
from cupola_trainer.curate import work
from cupola_trainer.curate.sources import walk
from cupola_trainer.pod import PodFailure
from cupola_trainer.storage import S3Place, place_of, s3, scratch

CURATION = {"pii": {}, "dedup": {"similarity": 0.8}}


def moved(sources: list[dict[str, Any]], to: str) -> list[dict[str, Any]]:
    """The same sources in a bucket."""
    found = []
    for source in sources:
        folder, uri = place_of(source["uri"]), f"{to}/{source['name']}"
        assert isinstance(folder, Path)
        s3.upload((path, place_of(uri) / path.name) for path in folder.iterdir())
        found.append({**source, "uri": uri})
    return found


def test_a_dataset_is_the_same_as_on_a_disk(pipeline: Any, sources: Any, bucket: str) -> None:
    here = pipeline.listed(sources, curation=CURATION)
    expected = pipeline.curate(here)
    pipeline.output = place_of(f"{bucket}/out")
    run = pipeline.listed(moved(sources, f"{bucket}/data"), curation=CURATION)
    assert (run.parts, run.digest) == (here.parts, here.digest)
    outcome = pipeline.curate(run, reversed(range(run.parts)))
    assert outcome.artifact == expected.artifact.model_copy(
        update={"uri": f"{run.folder}/artifact"}
    )
    assert outcome.dataset == expected.dataset
    assert {one.path.partition("/")[0] for one in s3.below(place_of(run.folder))} == {"artifact"}
    assert pipeline.stage(run, "dedup") == outcome
    kept = [path for path in scratch.root().iterdir() if not path.name.startswith(".")]
    assert all((path / MANIFEST).exists() for path in kept), "only copies of inputs stay"


@pytest.fixture
def run(bucket: str) -> CurateRun:
    return CurateRun(
        namespace="n",
        name="d",
        output=bucket,
        sources=[],
        listing=f"{bucket}/listing",
        listing_digest="sha256:" + "0" * 64,
        parts=1,
        curation={},
        validation=0.1,
        seed=0,
    )


def fill(folder: Path) -> work.Facts:
    for name in ("data", "more/data"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(f"whole {name}")
    return {"n": 1}


@pytest.mark.parametrize("there", ["nothing", "a damaged one"])
def test_a_stage_that_dies_at_any_request_leaves_nothing_or_all(
    run: CurateRun, requests: Any, there: str
) -> None:
    folder = work.stage_folder(run, "clean", 3)
    assert isinstance(folder, S3Place)
    least = 3 if there == "nothing" else 5
    for nth in range(1, 100):
        if there == "a damaged one":
            work.commit(folder, run, fill)
            s3.write(folder / "data", b"broken")
        requests.made.clear()
        requests.die_at = nth
        try:
            work.commit(folder, run, fill)
        except requests.Died:
            pass
        else:
            break
        finally:
            requests.die_at = None
        if made := work.sealed(folder, run):
            assert made.facts == {"n": 1}
            here = work.require(folder, run).folder
            assert (here / "more/data").read_text() == "whole more/data"
        elif there == "nothing":
            with pytest.raises(PodFailure, match="run that stage again"):
                work.require(folder, run)
        storage.discard(folder)
    assert nth > least
    assert work.require(folder, run).facts == {"n": 1}


def test_a_twin_that_is_faster_or_slower_does_no_harm(run: CurateRun) -> None:
    folder = work.stage_folder(run, "dedup")

    def slow(own: Path) -> work.Facts:
        work.commit(folder, run, fill)
        return fill(own)

    work.commit(folder, run, slow)
    assert work.require(folder, run).facts == {"n": 1}
    other = run.model_copy(update={"seed": 1})
    assert work.sealed(folder, other) is None


def test_a_pod_fetches_of_the_rows_what_its_range_needs(
    pipeline: Any, sources: Any, bucket: str, requests: Any
) -> None:
    pipeline.output = place_of(f"{bucket}/out")
    run = pipeline.listed(moved(sources, f"{bucket}/data"))
    for part in range(run.parts):
        pipeline.stage(run, "clean", part)
    cleaned = place_of(f"{run.folder}/work/clean")
    files = [one.path for one in s3.below(cleaned) if "/rows-" in one.path]
    assert len(files) > 3 * run.parts
    pipeline.dedup(run)
    requests.made.clear()
    pipeline.stage(run, "tokenise", 1)
    mine = [name for name in files if "/rows-01-" in name]
    # Manifests: of the Dataset, of what this pod makes (before, at and after its end), of `dedup`
    # and of each part. Files: the tokenizer's three, and this pod's slice of the list of what stays
    # and of the rows.
    assert requests.made.count("GetObject") == 1 + 3 + 1 + run.parts + 3 + 1 + len(mine)
    assert len(mine) <= run.parts


def test_without_credentials_a_pod_says_what_to_do(
    bucket: str, new_connection: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    del new_connection
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong")
    monkeypatch.setenv(TERMINATION_LOG, str(tmp_path / "said"))
    source = Source(name="web", uri=f"{bucket}/web", format="Text")
    listing = ListRun(namespace="n", name="d", output=f"{bucket}/out", sources=[source])
    (tmp_path / "run.yaml").write_text(dump(listing))
    assert command.main(["curate", str(tmp_path / "run.yaml"), "--stage", "list"]) == 1
    said = read((tmp_path / "said").read_text())
    assert said is not None
    assert (said.outcome, said.reason, said.failure) == ("Failed", "StorageRefused", "User")
    assert said.message.startswith(f"{bucket}/web cannot be used: the credentials of the pod are ")


def test_the_objects_of_a_source_are_listed_like_files(bucket: str) -> None:
    root = place_of(f"{bucket}/web")
    for name in ("b.txt", "a/z.md", "a/c.TXT.gz", "x.py", ".hidden.txt", ".git/a.txt", "README"):
        s3.write(root / name, name.encode())
    s3.write(place_of(f"{bucket}/web-2/other.txt"), b"x")

    def names(uri: str, form: str = "Text") -> list[str]:
        return [name for name, _, _ in walk(Source(name="web", uri=uri, format=form))]

    assert names(f"{bucket}/web") == ["a/c.TXT.gz", "a/z.md", "b.txt"]
    assert names(f"{bucket}/web/", "Python") == ["x.py"]
    assert names(f"{bucket}/web/README") == ["README"]
    for uri, form, reason in (
        (f"{bucket}/nowhere", "Text", "SourceMissing"),
        (f"{bucket}/we", "Text", "SourceMissing"),
        (f"{bucket}/web", "Parquet", "SourceEmpty"),
    ):
        with pytest.raises(PodFailure) as caught:
            names(uri, form)
        assert caught.value.reason == reason
        assert uri in caught.value.message


@pytest.mark.parametrize("change", ["other", "gone"])
def test_an_object_that_is_not_as_listed_stops_the_run(
    pipeline: Any, bucket: str, change: str
) -> None:
    place = place_of(f"{bucket}/data/a.txt")
    s3.write(place, b"Iron melts at 1538 degrees.")
    source = {"name": "web", "uri": f"{bucket}/data", "format": "Text"}
    pipeline.output = place_of(f"{bucket}/out")
    run = pipeline.listed([source])
    if change == "other":
        s3.write(place, b"Iron melts at 1539 degrees.")
    else:
        s3.delete([place])
    with pytest.raises(PodFailure) as caught:
        pipeline.stage(run, "clean", 0)
    assert (caught.value.reason, caught.value.failure) == ("SourceChanged", FailureClass.DATA)
    assert "a.txt is not as it was listed" in caught.value.message


def test_a_source_that_is_one_object_is_read(pipeline: Any, bucket: str) -> None:
    s3.write(place_of(f"{bucket}/data"), b"Iron melts at 1538 degrees.\n" * 40)
    pipeline.output = place_of(f"{bucket}/out")
    run = pipeline.listed([{"name": "web", "uri": f"{bucket}/data", "format": "Text"}])
    pipeline.stage(run, "clean", 0)
    facts = work.require(work.stage_folder(run, "clean", 0), run).facts
    assert facts["sources"][0]["kept"] == 1
