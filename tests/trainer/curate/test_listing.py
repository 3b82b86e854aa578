from __future__ import annotations

import os
from argparse import Namespace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cupola_api.dataset import Source
from cupola_api.outcome import FailureClass
from cupola_api.outcome import Listing as ListingOutcome
from cupola_api.run import ListRun
from cupola_trainer import curate
from cupola_trainer.curate.listing import group, walk
from cupola_trainer.pod import PodFailure

MIB = 1 << 20


@given(st.lists(st.integers(0, 400 * MIB), min_size=1, max_size=200))
def test_parts_hold_all_files_in_order_and_at_most_the_target_or_one_file(sizes: list[int]) -> None:
    starts = group(sizes)
    target = min(max(sum(sizes) // 64, 2 * MIB), 256 * MIB)
    assert starts == sorted(set(starts))
    assert starts[0] == 0
    parts = [sizes[a:b] for a, b in zip(starts, [*starts[1:], len(sizes)], strict=True)]
    for i, part in enumerate(parts):
        assert part
        assert sum(part) <= target or len([size for size in part if size]) == 1
        if i + 1 < len(parts):
            assert sum(part) + parts[i + 1][0] > target


def test_no_files_make_no_parts() -> None:
    assert group([]) == []


def listing(source: Source, output: Path) -> ListingOutcome:
    run = ListRun(namespace="n", name="d", output=output.as_uri(), sources=[source])
    outcome = curate.main(run, Namespace(stage="list"))
    assert outcome.listing is not None
    return outcome.listing


def source(folder: Path, form: str = "Text") -> Source:
    return Source(name="web", uri=folder.as_uri(), format=form)


def test_only_files_of_the_format_are_listed_sorted_and_not_hidden_ones(tmp_path: Path) -> None:
    for name in ("b.txt", "a/z.md", "a/c.TXT.gz", "x.py", ".hidden.txt", ".git/a.txt", "README"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(name)
    assert [name for name, _, _ in walk(source(tmp_path))] == ["a/c.TXT.gz", "a/z.md", "b.txt"]
    assert [name for name, _, _ in walk(source(tmp_path, "Python"))] == ["x.py"]
    assert [name for name, _, _ in walk(source(tmp_path / "README"))] == ["README"]


def test_links_out_of_the_folder_are_not_followed(tmp_path: Path) -> None:
    inside, outside = tmp_path / "in", tmp_path / "out"
    inside.mkdir()
    outside.mkdir()
    (outside / "secret.txt").write_text("x")
    (inside / "real.txt").write_text("y")
    (inside / "link.txt").symlink_to(outside / "secret.txt")
    (inside / "folder").symlink_to(outside)
    (inside / "dangling.txt").symlink_to(inside / "nothing")
    (inside / "alias.txt").symlink_to(inside / "real.txt")
    os.mkfifo(inside / "pipe.txt")
    assert [name for name, _, _ in walk(source(inside))] == ["alias.txt", "real.txt"]


def test_the_digest_is_of_the_content_and_of_no_place(tmp_path: Path) -> None:
    for place in ("one", "two"):
        (tmp_path / place).mkdir()
        (tmp_path / place / "a.txt").write_text("text")
    one = listing(source(tmp_path / "one"), tmp_path / "out1")
    two = listing(source(tmp_path / "two"), tmp_path / "out2")
    assert one.digest == two.digest
    assert (one.files, one.bytes, one.parts) == (1, 4, 1)
    assert one.uri.startswith((tmp_path / "out1" / "listings").as_uri())
    assert str(tmp_path / "one") not in Path(one.uri.removeprefix("file://")).read_text()
    (tmp_path / "two" / "a.txt").write_text("next")
    assert listing(source(tmp_path / "two"), tmp_path / "out2").digest != one.digest


def test_listing_again_writes_the_same_file(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("text")
    first = listing(source(tmp_path), tmp_path / "out")
    path = Path(first.uri.removeprefix("file://"))
    data = path.read_bytes()
    assert listing(source(tmp_path), tmp_path / "out") == first
    assert path.read_bytes() == data
    assert list(path.parent.iterdir()) == [path]


def test_a_missing_source_says_where_nothing_is(tmp_path: Path) -> None:
    with pytest.raises(PodFailure) as failure:
        walk(source(tmp_path / "nowhere"))
    assert failure.value.reason == "SourceMissing"
    assert failure.value.failure is FailureClass.USER
    assert "source web" in failure.value.message
    assert "nowhere" in failure.value.message


def test_a_source_without_files_of_its_format_says_what_is_looked_for(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("text")
    with pytest.raises(PodFailure) as failure:
        walk(source(tmp_path, "Jsonl"))
    assert failure.value.reason == "SourceEmpty"
    assert failure.value.failure is FailureClass.DATA
    assert "*.jsonl" in failure.value.message


def test_a_file_name_that_is_no_text_is_refused(tmp_path: Path) -> None:
    Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff.txt")).write_text("x")
    with pytest.raises(PodFailure, match="not UTF-8"):
        walk(source(tmp_path))
