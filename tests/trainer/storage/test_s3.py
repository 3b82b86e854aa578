"""Objects of a real S3 server: what arrives, in how many requests, and what is said if it fails."""

from __future__ import annotations

import hashlib
import socket
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ConnectionClosedError

from cupola_api.outcome import FailureClass
from cupola_trainer.failures import failure_of
from cupola_trainer.pod import PodFailure
from cupola_trainer.storage import S3Place, place_of, s3

MIB = 1 << 20


@pytest.fixture
def place(bucket: str) -> S3Place:
    found = place_of(bucket)
    assert isinstance(found, S3Place)
    return found


@pytest.fixture
def small_parts(new_connection: None, monkeypatch: pytest.MonkeyPatch) -> int:
    """Five MiB, the smallest part that the protocol allows."""
    monkeypatch.setattr(s3, "PART", 5 * MIB)
    return 5 * MIB


def test_a_small_object_is_there_at_once_and_replaced_at_once(place: S3Place) -> None:
    s3.write(place / "a/b.json", b"one")
    first = s3.read(place / "a/b.json")
    s3.write(place / "a/b.json", b"two")
    assert (first[0], s3.read(place / "a/b.json")[0]) == (b"one", b"two")
    with pytest.raises(FileNotFoundError) as caught:
        s3.read(place / "a/none")
    assert caught.value.filename == f"{place}/a/none"


@pytest.mark.parametrize("size", [0, 1, 5 * MIB - 1, 5 * MIB, 5 * MIB + 1, 12 * MIB])
@pytest.mark.usefixtures("small_parts")
def test_a_file_arrives_whole_in_a_request_for_each_part(
    size: int, place: S3Place, requests: Any, tmp_path: Path
) -> None:
    data = bytes(range(256)) * (size // 256) + b"x" * (size % 256)
    (tmp_path / "one").write_bytes(data)
    parts = max(1, -(-size // (5 * MIB)))
    s3.upload([(tmp_path / "one", place / "x")])
    assert len(requests.made) == (1 if size < 5 * MIB else parts + 2)
    requests.made.clear()
    (copied,) = s3.download([(place / "x", size, tmp_path / "two")])
    assert (tmp_path / "two").read_bytes() == data
    assert requests.made == ["GetObject"] * parts
    assert copied == (size, hashlib.sha256(data).hexdigest())
    assert [*s3.digests([(place / "x", size)])] == [copied]
    assert requests.made == ["GetObject"] * 2 * parts


@pytest.mark.parametrize("believed", [0, 1, 9, 10, 11, 12, 30])
def test_an_object_of_another_size_is_told_from_one_that_is_whole(
    place: S3Place, believed: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(s3, "PART", 4)
    s3.write(place / "a", b"0123456789")
    s3.write(place / "b", b"after it")
    wanted = [(place / "a", believed), (place / "b", 8)]
    one, two = s3.digests(wanted)
    assert one.bytes == 10
    assert two == (8, hashlib.sha256(b"after it").hexdigest())
    copies = [(*each, tmp_path / each[0].name) for each in wanted]
    assert [found.bytes for found in s3.download(copies)] == [10, 8]
    assert (tmp_path / "a").exists() is (believed == 10)
    assert (tmp_path / "b").read_bytes() == b"after it"


def test_many_large_objects_are_read_with_bounded_memory(
    place: S3Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """More objects at once than there are requests at once, each of many parts."""
    monkeypatch.setattr(s3, "PART", 1000)
    data = bytes(range(256)) * 100
    (tmp_path / "x").write_bytes(data)
    for number in range(2 * s3.AT_ONCE):
        s3.write(place / f"{number:02d}", data)
    asked: list[Any] = []
    piece = s3._piece

    def counted(*arguments: Any) -> Any:
        asked.append(arguments)
        return piece(*arguments)

    monkeypatch.setattr(s3, "_piece", counted)
    wanted = [(place / f"{number:02d}", len(data)) for number in range(2 * s3.AT_ONCE)]
    for number, found in enumerate(s3.digests(wanted), start=1):
        assert found == (len(data), hashlib.sha256(data).hexdigest())
        assert len(asked) <= number * 26 + s3.AT_ONCE
    assert len(asked) == 26 * len(wanted)


def test_a_listing_takes_a_request_for_each_thousand(place: S3Place, requests: Any) -> None:
    for name in ("b/2", "b/1", "a", "c/d/e"):
        s3.write(place / name, name.encode())
    s3.write(S3Place(place.bucket, f"{place.key}2") / "beside", b"x")
    requests.made.clear()
    assert [(one.path, one.bytes) for one in s3.below(place)] == [
        ("a", 1),
        ("b/1", 3),
        ("b/2", 3),
        ("c/d/e", 5),
    ]
    assert [one.name for one in s3.folders(place)] == ["b", "c"]
    assert requests.made == ["ListObjectsV2"] * 2
    assert s3.find(place / "a") is not None
    assert s3.find(place / "b") is None
    s3.delete([place / "a", place / "b/1", place / "none"])
    assert [one.path for one in s3.below(place)] == ["b/2", "c/d/e"]


def _sentence(work: Callable[[], object]) -> PodFailure:
    with pytest.raises(OSError) as caught:  # noqa: PT011  its number is asserted by the callers
        work()
    failure = failure_of(caught.value)
    assert failure is not None
    assert "writes-tests" not in failure.message
    assert "TESTWRITER" not in failure.message
    return failure


@pytest.mark.usefixtures("new_connection")
def test_without_credentials_it_is_the_users_move(
    place: S3Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    said = _sentence(lambda: s3.write(place / "x", b""))
    assert (said.reason, said.failure) == ("StorageRefused", FailureClass.USER)
    assert said.message == (
        f"{place}/x cannot be used: the pod has no credentials; name a Secret with "
        "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or a service account, in `storage` of the "
        "settings"
    )


@pytest.mark.usefixtures("new_connection")
@pytest.mark.parametrize("name", ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"])
def test_wrong_credentials_are_the_users_move(
    name: str, place: S3Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, "wrong")
    for work in (
        lambda: s3.read(place / "x"),
        lambda: list(s3.below(place)),
        lambda: [*s3.digests([(place / "x", 1)])],
        lambda: [*s3.download([(place / "x", 1, tmp_path / "x")])],
    ):
        said = _sentence(work)
        assert (said.reason, said.failure) == ("StorageRefused", FailureClass.USER)
        assert f"{place}" in said.message
        assert "the credentials of the pod are refused (" in said.message
        assert "; correct AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY in " in said.message


@pytest.mark.usefixtures("new_connection")
def test_denied_access_is_the_users_move(
    place: S3Place, reader: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in reader.items():
        monkeypatch.setenv(name, value)
    (tmp_path / "x").write_bytes(b"x")
    for work in (
        lambda: s3.write(place / "x", b""),
        lambda: s3.upload([(tmp_path / "x", place / "x")]),
        lambda: s3.delete([place / "x"]),
    ):
        said = _sentence(work)
        assert (said.reason, said.failure) == ("StorageRefused", FailureClass.USER)
        assert said.message == (
            f"{place}/x cannot be used: the credentials of the pod have no access to bucket "
            f"{place.bucket} (AccessDenied); let them list, read, write and delete there"
        )


@pytest.mark.usefixtures("bucket")
def test_a_bucket_that_is_not_there_is_the_users_move(s3_server: str) -> None:
    none = S3Place("no-such-bucket", "x")
    endpoint = s3_server.removeprefix("http://")
    for work in (
        lambda: s3.read(none),
        lambda: list(s3.below(none)),
        lambda: [*s3.digests([(none, 1)])],
    ):
        said = _sentence(work)
        assert (said.reason, said.failure) == ("StorageUnknown", FailureClass.USER)
        assert said.message == (
            f"s3://no-such-bucket/x cannot be used: {endpoint} has no bucket no-such-bucket; "
            "create it, or correct the URI"
        )


def _closed_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.mark.usefixtures("new_connection")
def test_an_endpoint_that_does_not_answer_is_tried_again_by_the_operator(
    place: S3Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    endpoint = f"127.0.0.1:{_closed_port()}"
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", f"http://{endpoint}")
    monkeypatch.setattr(s3, "ATTEMPTS", 1)
    for work in (lambda: s3.read(place / "x"), lambda: [*s3.digests([(place / "x", 1)])]):
        said = _sentence(work)
        assert (said.reason, said.failure) == ("StorageFailed", FailureClass.INFRASTRUCTURE)
        assert said.message == (
            f"{place}/x cannot be used: {endpoint} does not answer (EndpointConnectionError); see "
            "to it, or correct `storage.endpoint` in the settings; the next attempt goes on from "
            "what is saved"
        )


@pytest.mark.usefixtures("new_connection")
def test_an_endpoint_that_hangs_is_given_up_and_tried_again_by_the_operator(
    place: S3Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(s3, "ATTEMPTS", 1)
    monkeypatch.setattr(s3, "READ_SECONDS", 0.1)
    with socket.create_server(("127.0.0.1", 0)) as silent:  # takes connections, says nothing
        endpoint = f"127.0.0.1:{silent.getsockname()[1]}"
        monkeypatch.setenv("AWS_ENDPOINT_URL_S3", f"http://{endpoint}")
        for work in (lambda: s3.read(place / "x"), lambda: [*s3.digests([(place / "x", 1)])]):
            said = _sentence(work)
            assert (said.reason, said.failure) == ("StorageFailed", FailureClass.INFRASTRUCTURE)
            assert f"{endpoint} does not answer (ReadTimeoutError)" in said.message


@pytest.mark.usefixtures("new_connection")
@pytest.mark.parametrize("name", ["AWS_ENDPOINT_URL_S3", "AWS_REGION"])
def test_settings_that_make_no_sense_are_the_users_move(
    name: str, place: S3Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, "http://me:secret@not a host:99/")
    for work in (lambda: s3.write(place / "x", b""), lambda: s3.delete([place / "x"])):
        said = _sentence(work)
        assert (said.reason, said.failure) == ("StorageUnknown", FailureClass.USER)
        assert said.message.endswith("; correct `storage` in the settings, or the URI")
        assert "secret" not in said.message


def test_a_request_that_fails_is_made_again(place: S3Place, requests: Any) -> None:
    s3.write(place / "x", b"text")
    failures = iter([ConnectionClosedError(endpoint_url="http://x")])

    def fail(**_: Any) -> None:
        for error in failures:
            raise error

    events = s3.client().meta.events
    events.register("before-send.s3", fail)
    assert s3.read(place / "x")[0] == b"text"
    events.unregister("before-send.s3", fail)
    assert requests.made == ["PutObject", "GetObject", "GetObject"]
