from __future__ import annotations

from pathlib import Path

import pytest

from cupola_api.outcome import FailureClass
from cupola_trainer.pod import PodFailure
from cupola_trainer.storage import S3Place, place_of, uri_of


@pytest.mark.parametrize(
    ("uri", "place"),
    [
        ("file:///a/b", Path("/a/b")),
        ("file:///a%20b/%C3%BC", Path("/a b/ü")),
        ("file:///a?b#c", Path("/a?b#c")),
        ("pvc://data/sets/web", Path("/mnt/cupola/data/sets/web")),
        ("pvc://data-1/a%20b", Path("/mnt/cupola/data-1/a b")),
        ("pvc://data/a..b", Path("/mnt/cupola/data/a..b")),
        ("s3://some.bucket/a/b", S3Place("some.bucket", "a/b")),
        ("s3://some-bucket/a/", S3Place("some-bucket", "a")),
        ("s3://some-bucket", S3Place("some-bucket", "")),
        ("s3://some-bucket/a%20b c", S3Place("some-bucket", "a%20b c")),
    ],
)
def test_a_uri_names_a_place(uri: str, place: Path | S3Place) -> None:
    assert place_of(uri) == place


@pytest.mark.parametrize(
    "uri",
    [
        *("file://host/a", "file:/a", "/a", "file:///a%00b", "hf://org/name", ""),
        *("pvc://Data/x", "pvc://-a/x", "pvc:///x", "pvc://a.b/x", f"pvc://{'a' * 64}/x"),
        *("pvc://data/../other", "pvc://data/x/%2e%2e/%2e%2e/other", "pvc://data//etc"),
        *("pvc://data/%2Fetc", "pvc://data/a%00b"),
        *(
            "s3:///x",
            "s3://Bucket/x",
            "s3://ab/x",
            "s3://some-bucket/a/../b",
            "s3://some-bucket/a//b",
        ),
    ],
)
def test_what_names_no_place_is_the_users_move(uri: str) -> None:
    with pytest.raises(PodFailure, match="cannot be opened: ") as caught:
        place_of(uri)
    assert caught.value.failure is FailureClass.USER
    assert caught.value.reason == "StorageUnknown"
    assert caught.value.message.startswith(f"{uri} cannot be opened: ")


@pytest.mark.parametrize(
    "uri", ["file:///a%20b/c", "pvc://data/a%20b/c", "s3://some-bucket/a b/c", "s3://some-bucket/"]
)
def test_a_place_is_named_as_other_pods_name_it(uri: str) -> None:
    assert uri_of(place_of(uri)) == uri


def test_a_place_in_a_bucket_joins_and_splits_like_a_path() -> None:
    place = S3Place("some-bucket", "a") / "b" / "c/d"
    assert str(place) == "s3://some-bucket/a/b/c/d"
    assert (place.name, place.parent) == ("d", S3Place("some-bucket", "a/b/c"))
    assert S3Place("some-bucket", "") / "x" == S3Place("some-bucket", "x")
    assert S3Place("some-bucket", "x").parent == S3Place("some-bucket", "")
