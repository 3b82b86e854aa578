"""Objects of an S3 service, by boto3. Nothing else in Cupola speaks to it.

What limits it: a process has `AT_ONCE` requests under way at a time, each of `PART` bytes at most. At
100 ms a request that is 1.3 GB/s, and 128 MiB of memory. A file takes a request for each begun
`PART`; an upload of more than one takes two more. A request that fails is made again, `ATTEMPTS` in
all, after pauses that grow.

An object is there whole or not at all. A multipart upload that a kill cut off leaves parts that no
reader sees, and that a lifecycle rule of the bucket should remove (AbortIncompleteMultipartUpload).

Endpoint, region and credentials come from the environment that boto3 reads, and stay there. It is
imported with the first request: that takes half a second, which a run on a disk need not wait for.
"""

from __future__ import annotations

import hashlib
import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager, suppress
from functools import cache, partial
from itertools import islice
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, NamedTuple

from cupola_trainer import hang
from cupola_trainer.storage.place import S3Place

if TYPE_CHECKING:
    from s3transfer.futures import TransferFuture
    from s3transfer.manager import TransferManager

PART = 8 << 20
"""Bytes that a request reads or writes, at most."""
AT_ONCE = 16
"""Requests of a process that are under way at a time, at most."""
ATTEMPTS = 5
"""How often a request is made, at most."""
CONNECT_SECONDS, READ_SECONDS = 10, 60
"""How long the server may take to accept a connection, and to say the next bytes."""


_CHUNK = 1 << 20


class Found(NamedTuple):
    """An object of a listing."""

    path: str
    """Below the place that was listed."""
    bytes: int


class Digest(NamedTuple):
    """What an object holds."""

    bytes: int
    sha256: str


@cache
def client() -> Any:
    """The connection of this process. Raises ValueError or BotoCoreError for bad settings."""
    import boto3  # noqa: PLC0415  see the module
    from botocore.config import Config  # noqa: PLC0415

    return boto3.session.Session().client(
        "s3",
        region_name=os.environ.get("AWS_REGION"),  # boto3 itself reads AWS_DEFAULT_REGION only
        config=Config(
            connect_timeout=CONNECT_SECONDS,
            read_timeout=READ_SECONDS,
            retries={"mode": "standard", "total_max_attempts": ATTEMPTS},
            max_pool_connections=AT_ONCE,
            # Ours is sha256 in a manifest; not every server knows the ones that boto3 adds.
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
        ),
    )


@cache
def _manager() -> TransferManager:
    from s3transfer.manager import TransferConfig, TransferManager  # noqa: PLC0415  see the module

    return TransferManager(
        client(),
        TransferConfig(
            multipart_threshold=PART,
            multipart_chunksize=PART,
            max_request_concurrency=AT_ONCE,
        ),
    )


def read(place: S3Place) -> tuple[bytes, float]:
    """A small object, and when it was written, Unix time. Raises FileNotFoundError or StoreError."""
    with _answered(place):
        data, answer = _get(place)
        return data, answer["LastModified"].timestamp()


def copy(place: S3Place, path: Path) -> float:
    """An object of any size into a file; when it was written, Unix time.

    Raises FileNotFoundError, StoreError or OSError.
    """
    from botocore.exceptions import HTTPClientError, IncompleteReadError  # noqa: PLC0415

    with _answered(place):
        for left in reversed(range(ATTEMPTS)):
            answer = client().get_object(Bucket=place.bucket, Key=place.key)
            try:
                with path.open("wb") as file:
                    for data in answer["Body"].iter_chunks(_CHUNK):
                        file.write(data)
                        hang.progress()
            except (HTTPClientError, IncompleteReadError):  # boto3 does not try this again
                if not left:
                    raise
            else:
                written: float = answer["LastModified"].timestamp()
                return written
    raise AssertionError("a request is made at least once")


def read_range(place: S3Place, begin: int, end: int) -> tuple[bytes, int]:
    """Bytes [begin, end) of an object, fewer if it ends before, and the size of all of it.

    The size is 0 if it ends before `begin`. Raises FileNotFoundError or StoreError.
    """
    with _answered(place):
        return _piece(place, begin, end)


def write(place: S3Place, data: bytes) -> None:
    """Make a small object, or replace it: readers see the old one or the new one."""
    with _answered(place):
        client().put_object(Bucket=place.bucket, Key=place.key, Body=data)


def below(place: S3Place) -> Iterator[Found]:
    """Every object below a place, sorted; a request for each begun thousand."""
    prefix = f"{place.key}/" if place.key else ""
    with _answered(place):
        pages = client().get_paginator("list_objects_v2")
        for page in pages.paginate(Bucket=place.bucket, Prefix=prefix):
            for entry in page.get("Contents", []):
                if not entry["Key"].endswith("/"):  # what some tools leave for an empty folder
                    yield Found(entry["Key"].removeprefix(prefix), entry["Size"])


def find(place: S3Place) -> Found | None:
    """The object at a place itself."""
    with _answered(place):
        answer = client().list_objects_v2(Bucket=place.bucket, Prefix=place.key, MaxKeys=1)
    for entry in answer.get("Contents", []):
        if entry["Key"] == place.key:
            return Found(place.name, entry["Size"])
    return None


def folders(place: S3Place) -> list[S3Place]:
    """The prefixes directly below a place that hold anything; as many requests as `below`."""
    # Asked for prefixes alone, a server may also name such as hold nothing any more.
    names = (found.path.partition("/") for found in below(place))
    return [place / name for name in dict.fromkeys(name for name, deeper, _ in names if deeper)]


def download(wanted: Sequence[tuple[S3Place, int, Path]]) -> Iterator[Digest]:
    """Objects of known sizes into files, one after the other as they are asked for; see `digests`.

    An object of another size has no file. Raises also OSError.
    """
    for (_, size, path), pieces in zip(
        wanted, _objects([(place, size) for place, size, _ in wanted]), strict=True
    ):
        with path.open("wb") as file:
            found = _hashed(pieces, file)
        if found.bytes != size:
            path.unlink()
        yield found


def digests(wanted: Sequence[tuple[S3Place, int]]) -> Iterator[Digest]:
    """What objects of known sizes hold, in order, read without keeping it.

    Of one of another size that size alone. Raises FileNotFoundError or StoreError.
    """
    return (_hashed(pieces) for pieces in _objects(wanted))


def upload(files: Iterable[tuple[Path, S3Place]]) -> None:
    """Files into objects, each of which appears at once. Raises StoreError."""
    _transfer((place, partial(_upload, str(path))) for path, place in files)


def delete(places: Iterable[S3Place]) -> None:
    """Delete objects; those that are not there are no error. Raises StoreError."""
    # One by one, as not every server knows the request for many.
    _transfer((place, _delete) for place in places)


def _upload(path: str, place: S3Place) -> TransferFuture:
    return _manager().upload(path, place.bucket, place.key)


def _delete(place: S3Place) -> TransferFuture:
    return _manager().delete(place.bucket, place.key)


def _transfer(wanted: Iterable[tuple[S3Place, Callable[[S3Place], TransferFuture]]]) -> None:
    """Start what is wanted of places and wait for it; the first failure ends all."""
    started: list[tuple[S3Place, TransferFuture]] = []
    try:
        for place, begin in wanted:
            with _answered(place):
                started.append((place, begin(place)))
        for place, transfer in started:
            with _answered(place):
                transfer.result()
    except BaseException:
        for _, transfer in started:
            transfer.cancel()
        for _, transfer in started:  # nothing is written any more when this returns
            with suppress(Exception):
                transfer.result()
        raise


@contextmanager
def _answered(place: S3Place) -> Iterator[None]:
    """Around requests about a place. Raises FileNotFoundError, or StoreError, for those of boto3."""
    try:
        yield
    except Exception as error:
        from cupola_trainer.storage.answers import meaning  # noqa: PLC0415  see the module

        found = meaning(error, place)
        if found is None:
            raise
        raise found from error


class _Piece(NamedTuple):
    """A part of an object, and the size of all of it where the server said so."""

    data: bytes
    total: int


def _objects(wanted: Sequence[tuple[S3Place, int]]) -> Iterator[Iterator[_Piece]]:
    """The pieces of each object, in order; each must be used up before the next is asked for.

    `AT_ONCE` pieces are read ahead, of as many objects as those are of.
    """
    ranges = (
        (place, begin, min(begin + PART, max(size, 1)))
        for place, size in wanted
        for begin in range(0, max(size, 1), PART)
    )
    ahead: deque[tuple[S3Place, Future[_Piece]]] = deque()

    def next_piece() -> _Piece:
        for place, begin, end in islice(ranges, AT_ONCE - len(ahead)):
            ahead.append((place, _pool().submit(_piece, place, begin, end)))
        place, piece = ahead.popleft()
        with _answered(place):
            return piece.result()

    def pieces(size: int) -> Iterator[_Piece]:
        for _ in range(0, max(size, 1), PART):
            yield next_piece()

    try:
        for _, size in wanted:
            yield pieces(size)
    finally:
        for _, piece in ahead:
            piece.cancel()


def _hashed(pieces: Iterator[_Piece], file: IO[bytes] | None = None) -> Digest:
    """What an object holds; it is also written to a file."""
    size, hashed, total = 0, hashlib.sha256(), 0
    for data, whole in pieces:
        size, total = size + len(data), max(total, whole)
        hashed.update(data)
        hang.progress()
        if file:
            file.write(data)
    return Digest(size, hashed.hexdigest()) if size == total else Digest(total, "")


def _piece(place: S3Place, begin: int, end: int) -> _Piece:
    """Bytes [begin, end) of an object, fewer if it ends before."""
    try:
        data, answer = _get(place, Range=f"bytes={begin}-{end - 1}")
    except client().exceptions.ClientError as error:
        if error.response.get("Error", {}).get("Code") != "InvalidRange":
            raise
        return _Piece(b"", 0)  # it ends before
    whole = answer.get("ContentRange", "").rpartition("/")[2]
    return _Piece(data, int(whole or len(data)))


def _get(place: S3Place, **options: str) -> tuple[bytes, Any]:
    from botocore.exceptions import HTTPClientError, IncompleteReadError  # noqa: PLC0415

    for left in reversed(range(ATTEMPTS)):
        answer = client().get_object(Bucket=place.bucket, Key=place.key, **options)
        try:
            return answer["Body"].read(), answer
        except (HTTPClientError, IncompleteReadError):  # boto3 does not try this again
            if not left:
                raise
    raise AssertionError("a request is made at least once")


@cache
def _pool() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(AT_ONCE, "s3")
