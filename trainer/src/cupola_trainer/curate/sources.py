"""The files of a source, on a disk or in S3: which there are, and what is in them by hash."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path, PurePosixPath

from cupola_api.artifact import hash_file
from cupola_api.dataset import Format, Source
from cupola_api.errors import plain
from cupola_api.outcome import FailureClass
from cupola_trainer import storage
from cupola_trainer.curate import path_list, unreadable
from cupola_trainer.curate.spread import spread
from cupola_trainer.pod import PodFailure
from cupola_trainer.storage import Place, S3Place, s3

_PLAIN = {
    Format.JSONL: (".jsonl", ".ndjson", ".json"),
    Format.PARQUET: (".parquet",),
    Format.TEXT: (".txt", ".md"),
    Format.PYTHON: (".py",),
    Format.WARC: (".warc", ".warc.gz"),
    Format.WET: (".wet", ".wet.gz"),
}
_COMPRESSED = {Format.JSONL, Format.TEXT}


def walk(source: Source) -> list[tuple[str, Place, int]]:
    """(relative path, place, bytes) of the files of a source, sorted by relative path.

    Hidden files are left out, and so is everything that a symbolic link reaches outside the folder.
    Raises PodFailure if the source is missing or holds no file of its format, OSError if storage
    does not answer.
    """
    place = plain(source.uri, unreadable.LONGEST)
    root = storage.place_of(source.uri)
    there: list[tuple[str, Place, int]] | None
    try:
        if path_list.is_list(source):
            there = path_list.listed(source)
        elif isinstance(root, S3Place):
            there = _in_bucket(root)
        else:
            there = _on_disk(root, source.format)
    except OSError as error:
        raise unreadable.failure(source, source.uri, error) from error
    if there is None:
        raise PodFailure(
            "SourceMissing",
            f"source {source.name}: there is nothing at {place}; put the data there or correct the "
            "uri",
            FailureClass.USER,
        )
    found = sorted(
        file
        for file in there
        if file[1] == root or _is_wanted(PurePosixPath(file[0]), source.format)
    )
    if not found:
        raise PodFailure(
            "SourceEmpty",
            f"source {source.name}: {place} holds no file of format {source.format} "
            f"({', '.join('*' + s for s in suffixes(source.format))}); put some there or correct "
            "the format",
            FailureClass.DATA,
        )
    for relative, _, _ in found:
        if not _is_text(relative):
            raise PodFailure(
                "SourceUnreadable",
                f"source {source.name}: the name of the file {relative!a} is not UTF-8; rename "
                "the file",
                FailureClass.DATA,
            )
    return spread(found, source.max_files)


def suffixes(form: Format) -> tuple[str, ...]:
    """The names that files of a format end with."""
    usual = _PLAIN[form]
    packed = [s + c for c in (".gz", ".zst") for s in usual] if form in _COMPRESSED else []
    return (*usual, *packed)


def place_in(source: Source, relative: str) -> Place:
    """The place of a listed file of a source. Raises OSError if storage does not answer."""
    if path_list.is_list(source):
        return path_list.place_of(source, relative)
    root = storage.place_of(source.uri)
    if isinstance(root, S3Place):
        return root if root.name == relative and s3.find(root) else root / relative
    return root if root.is_file() else root / relative


def hashes(source: Source, files: Sequence[tuple[str, Place, int]]) -> Iterator[str]:
    """What is in the files that `walk` found, by hash, in order. Raises PodFailure, or OSError."""
    here = [(relative, place) for relative, place, _ in files if isinstance(place, Path)]
    with ThreadPoolExecutor(max_workers=min(8, os.cpu_count() or 1)) as pool:
        yield from pool.map(lambda file: _hash(source, *file), here)
    there = [(place, size) for _, place, size in files if isinstance(place, S3Place)]
    try:
        for (place, size), found in zip(there, s3.digests(there), strict=True):
            if found.bytes != size:
                raise unreadable.changed(source, str(place))
            yield found.sha256
    except OSError as error:
        raise unreadable.failure(source, error.filename or source.uri, error) from error


def _hash(source: Source, relative: str, path: Path) -> str:
    try:
        return hash_file(path)
    except OSError as error:
        raise unreadable.failure(source, relative, error) from error


def _in_bucket(root: S3Place) -> list[tuple[str, Place, int]] | None:
    """All below a prefix, or the object that is itself the source; None if there is nothing."""
    if itself := s3.find(root):
        return [(root.name, root, itself.bytes)]
    return [(one.path, root / one.path, one.bytes) for one in s3.below(root)] or None


def _on_disk(root: Path, form: Format) -> list[tuple[str, Place, int]] | None:
    """As `_in_bucket`; folders are not entered that hold nothing of the source."""
    if root.is_file():
        return [(root.name, root, root.stat().st_size)]
    return [*_walk(root, form)] if root.is_dir() else None


def _walk(root: Path, form: Format) -> Iterator[tuple[str, Path, int]]:
    inside = root.resolve()

    def fail(error: OSError) -> None:
        raise error

    for folder, folders, names in os.walk(root, onerror=fail):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in names:
            path = Path(folder) / name
            if not _is_wanted(PurePosixPath(name), form):
                continue
            # realpath, unlike resolve, does not mind links in a circle; they are no files
            if path.is_symlink() and not Path(os.path.realpath(path)).is_relative_to(inside):
                continue
            if path.is_file():
                yield path.relative_to(root).as_posix(), path, path.stat().st_size


def _is_wanted(path: PurePosixPath, form: Format) -> bool:
    """Whether a file is of a format, and not hidden."""
    hidden = any(part.startswith(".") for part in path.parts)
    return not hidden and path.name.lower().endswith(suffixes(form))


def _is_text(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True
