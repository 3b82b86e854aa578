"""A source that is a list of files: a path a line, as Common Crawl has them for each crawl.

A path is one below the folder of the list; or, where the list itself lies in a folder of the name
that the path begins with, below what holds that: `crawl-data/...` in
`s3://commoncrawl/crawl-data/CC-MAIN-2026-05/wet.paths.gz` is below the bucket.
"""

from __future__ import annotations

import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path, PurePosixPath

from cupola_api.dataset import Source
from cupola_api.errors import plain
from cupola_api.outcome import FailureClass
from cupola_trainer import storage
from cupola_trainer.curate.packed import Damaged, unpacked
from cupola_trainer.curate.spread import spread
from cupola_trainer.curate.unreadable import LONGEST
from cupola_trainer.pod import PodFailure
from cupola_trainer.storage import Place, S3Place, s3

_BYTES = 256 << 20
_AT_ONCE = 16


def is_list(source: Source) -> bool:
    """Whether a source is a list of files."""
    return source.uri.lower().endswith((".paths", ".paths.gz"))


def listed(source: Source) -> list[tuple[str, Place, int]]:
    """(path, place, bytes) of the files in the list. Raises PodFailure, or OSError."""
    paths = spread(_paths(source), source.max_files)
    places = [place_of(source, path) for path in paths]
    with ThreadPoolExecutor(max_workers=_AT_ONCE) as pool:
        sizes = [*pool.map(_size, places)]
    for path, size in zip(paths, sizes, strict=True):
        if size is None:
            raise _failure(source, f"lists {plain(path, LONGEST)}, which is not there")
    return [
        (path, place, size or 0) for path, place, size in zip(paths, places, sizes, strict=True)
    ]


def place_of(source: Source, path: str) -> Place:
    """Where a file of the list lies."""
    folder = storage.place_of(source.uri).parent
    first, above = path.partition("/")[0], folder
    while above.name:
        if above.name == first:
            return above.parent / path
        above = above.parent
    return folder / path


def _paths(source: Source) -> list[str]:
    """The paths in the list, in its order."""
    name = PurePosixPath(source.uri).name
    with tempfile.TemporaryDirectory() as scratch:
        copy = Path(scratch) / name
        copy.write_bytes(storage.read(storage.place_of(source.uri)))
        try:
            with unpacked(copy) as file:
                data = file.read(_BYTES + 1)
        except Damaged as error:
            raise _failure(source, f"cannot be read: {error}") from error
    if len(data) > _BYTES:
        raise _failure(source, f"has more than {_BYTES:,} bytes")
    try:
        paths = [*dict.fromkeys(line.strip() for line in data.decode().splitlines())]
    except UnicodeDecodeError as error:
        raise _failure(source, "is not UTF-8") from error
    for path in paths:
        if path.startswith("/") or "://" in path or {"..", "."} & set(path.split("/")):
            raise _failure(source, f"holds {plain(path, LONGEST)}, which is no path below a folder")
    return [path for path in paths if path]


def _size(place: Place) -> int | None:
    if isinstance(place, S3Place):
        found = s3.find(place)
        return found.bytes if found else None
    return place.stat().st_size if place.is_file() else None


def _failure(source: Source, what: str) -> PodFailure:
    return PodFailure(
        "SourceUnreadable",
        f"source {source.name}: the list {plain(source.uri, LONGEST)} {what}; write a path a line of "
        "files that are there",
        FailureClass.DATA,
    )
