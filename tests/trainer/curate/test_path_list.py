"""Sources that are lists of files, laid out as Common Crawl lays out a crawl."""

from __future__ import annotations

import gzip
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cupola_api.dataset import Source
from cupola_trainer.curate.path_list import place_of
from cupola_trainer.curate.sources import walk
from cupola_trainer.curate.spread import spread
from cupola_trainer.pod import PodFailure
from cupola_trainer.storage import S3Place, s3
from cupola_trainer.storage import place_of as storage_place

from .archives import record, write

CRAWL = "crawl-data/CC-MAIN-2026-05"


def crawl(root: Path, files: int = 6) -> Path:
    """A crawl of some archives; its list."""
    paths = []
    for i in range(files):
        path = root / CRAWL / "segments" / str(i % 2) / f"{i}.warc.wet.gz"
        path.parent.mkdir(parents=True, exist_ok=True)
        texts = [f"Page {j} of archive {i}." for j in range(3)]
        write(path, [record("conversion", text.encode()) for text in texts])
        paths.append(path.relative_to(root).as_posix())
    there = root / CRAWL / "wet.paths.gz"
    there.write_bytes(gzip.compress("".join(f"{path}\n" for path in paths).encode()))
    return there


def source(uri: str, **fields: Any) -> Source:
    return Source(name="web", uri=uri, format="Wet", **fields)


@pytest.mark.parametrize(
    ("uri", "place"),
    [
        (f"s3://commoncrawl/{CRAWL}/wet.paths.gz", S3Place("commoncrawl", f"{CRAWL}/a.wet.gz")),
        (f"s3://mine/copy/{CRAWL}/wet.paths.gz", S3Place("mine", f"copy/{CRAWL}/a.wet.gz")),
        ("s3://mine/some/wet.paths", S3Place("mine", f"some/{CRAWL}/a.wet.gz")),
        ("s3://mine/wet.paths", S3Place("mine", f"{CRAWL}/a.wet.gz")),
        (f"file:///copy/{CRAWL}/wet.paths", Path(f"/copy/{CRAWL}/a.wet.gz")),
        ("pvc://claim/wet.paths", Path(f"/mnt/cupola/claim/{CRAWL}/a.wet.gz")),
    ],
)
def test_a_path_is_below_what_the_list_and_it_have_in_common(uri: str, place: Any) -> None:
    assert place_of(source(uri), f"{CRAWL}/a.wet.gz") == place


def test_a_crawl_is_the_files_of_its_list(pipeline: Any, tmp_path: Path) -> None:
    uri = crawl(tmp_path).as_uri()
    (tmp_path / CRAWL / "segments" / "other.wet.gz").touch()
    assert [Path(path).name[0] for path, _, _ in walk(source(uri))] == [*"024135"]
    some = source(uri, max_files=3)
    assert [Path(path).name[0] for path, _, _ in walk(some)] == [*"024"]
    done = pipeline.curate(pipeline.listed([some.to_json()]))
    assert (done.dataset.documents_read, done.dataset.documents_kept) == (9, 9)


def test_a_crawl_in_a_bucket_is_read_like_one_on_a_disk(
    pipeline: Any, tmp_path: Path, bucket: str
) -> None:
    crawl(tmp_path, files=2)
    for path in tmp_path.rglob("*.gz"):
        s3.upload([(path, storage_place(f"{bucket}/{path.relative_to(tmp_path).as_posix()}"))])
    there = source(f"{bucket}/{CRAWL}/wet.paths.gz")
    run = pipeline.listed([there.to_json()])
    pipeline.stage(run, "clean", 0)
    here_run = pipeline.listed([source((tmp_path / CRAWL / "wet.paths.gz").as_uri()).to_json()])
    assert run.listing_digest == here_run.listing_digest


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        (b"none.wet.gz\n", "lists none.wet.gz, which is not there"),
        (b"../up.wet.gz\n", r"holds ../up.wet.gz, which is no path below a folder"),
        (b"/etc/passwd\n", "holds /etc/passwd, which is no path"),
        (b"https://a.org/a.wet.gz\n", "is no path below a folder"),
        (b"\xff\n", "is not UTF-8"),
        (b"", "holds no file of format Wet"),
    ],
)
def test_a_list_that_is_none_is_said_in_a_sentence(
    tmp_path: Path, lines: bytes, words: str
) -> None:
    (tmp_path / "wet.paths").write_bytes(lines)
    with pytest.raises(PodFailure, match=words):
        walk(source((tmp_path / "wet.paths").as_uri()))
    (tmp_path / "wet.paths.gz").write_bytes(gzip.compress(b"x" * 99)[:-9])
    with pytest.raises(PodFailure, match="cannot be read: the compressed data ends too early"):
        walk(source((tmp_path / "wet.paths.gz").as_uri()))


@given(st.lists(st.integers(), max_size=50, unique=True), st.integers(1, 60))
def test_some_of_many_are_in_order_and_spread(items: list[int], most: int) -> None:
    found = spread(items, most)
    assert len(found) == min(most, len(items))
    places = [items.index(one) for one in found]
    assert places == sorted(set(places))
    gaps = [b - a for a, b in pairwise(places)]
    assert not gaps or max(gaps) - min(gaps) <= 1
    assert spread(items, None) == items
