"""Stage `list`: which files there are, what is in them by hash, and which pod reads which.

The digest of a listing says what the data is: source, path below it, size and sha256 of every file.
It holds no place, so the same files anywhere give the same digest.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from pydantic import Field, ValidationError

from cupola_api.artifact import digest_of, hash_file, write_atomic
from cupola_api.base import Model
from cupola_api.dataset import Format, Source
from cupola_api.errors import plain
from cupola_api.outcome import FailureClass, Outcome, OutcomeKind
from cupola_api.outcome import Listing as ListingOutcome
from cupola_api.run import CurateRun, ListRun
from cupola_trainer.curate import unreadable
from cupola_trainer.curate.progress import Progress
from cupola_trainer.pod import PodFailure
from cupola_trainer.storage import path_of

_PLAIN = {
    Format.JSONL: (".jsonl", ".ndjson", ".json"),
    Format.PARQUET: (".parquet",),
    Format.TEXT: (".txt", ".md"),
    Format.PYTHON: (".py",),
}
_COMPRESSED = {Format.JSONL, Format.TEXT}
_PARTS = 64
_LEAST = 2 << 20
_MOST = 256 << 20


class SourceFile(Model):
    """A file of a source."""

    source: str
    path: str = Field(description="Below the source's folder, with forward slashes.")
    bytes: int
    sha256: str


class Listing(Model):
    """The files of all sources, in order, and how they are grouped."""

    files: list[SourceFile]
    parts: list[int] = Field(description="For each part the number of its first file.")

    @property
    def digest(self) -> str:
        """Identity of the data, not of the grouping, which follows from it."""
        return digest_of([file.to_json() for file in self.files])

    def source_digest(self, name: str) -> str:
        """Identity of one source's data."""
        return digest_of([file.to_json() for file in self.files if file.source == name])

    def files_of(self, part: int) -> list[SourceFile]:
        """The files of a part."""
        return self.files[self.parts[part] : [*self.parts, len(self.files)][part + 1]]


def list_sources(run: ListRun) -> Outcome:
    """Walk and hash the sources, store the listing, say where it is."""
    progress = Progress("list")
    found = [(source, *file) for source in run.sources for file in walk(source)]
    with ThreadPoolExecutor(max_workers=min(8, os.cpu_count() or 1)) as pool:
        files = []
        for (source, relative, path, size), sha256 in zip(
            found, pool.map(_hash, found), strict=True
        ):
            del path
            files.append(SourceFile(source=source.name, path=relative, bytes=size, sha256=sha256))
            progress.add(1, size)
    listing = Listing(files=files, parts=group([file.bytes for file in files]))
    name = listing.digest.removeprefix("sha256:")[:16]
    uri = f"{run.output}/listings/{name}.json"
    write_atomic(path_of(uri), listing.model_dump_json(by_alias=True).encode())
    return Outcome(
        outcome=OutcomeKind.SUCCEEDED,
        message=f"{len(files):,} files of {sum(f.bytes for f in files):,} bytes",
        listing=ListingOutcome(
            uri=uri,
            digest=listing.digest,
            parts=len(listing.parts),
            files=len(files),
            bytes=sum(file.bytes for file in files),
        ),
    )


def load(run: CurateRun) -> Listing:
    """The listing that a run is about. Raises PodFailure if it is not the one that was made."""
    try:
        listing = Listing.model_validate_json(path_of(run.listing).read_bytes())
        if listing.digest == run.listing_digest and len(listing.parts) == run.parts:
            return listing
        why = "is another one"
    except OSError as error:
        why = f"cannot be read ({error.strerror})"
    except ValidationError:
        why = "is not a listing"
    raise PodFailure(
        "ListingInvalid",
        f"the listing {run.listing} {why}; delete it and let the stage `list` run again",
        FailureClass.INFRASTRUCTURE,
    )


def walk(source: Source) -> list[tuple[str, Path, int]]:
    """(relative path, path, size) of the files of a source, sorted by relative path.

    Hidden files are left out, and so is everything that a symbolic link reaches outside the folder.
    Raises PodFailure if the source is missing or holds no file of its format, OSError if storage
    does not answer.
    """
    root = path_of(source.uri)
    place = plain(source.uri, unreadable.LONGEST)
    try:
        if root.is_file():
            return [(root.name, root, root.stat().st_size)]
        if not root.is_dir():
            raise PodFailure(
                "SourceMissing",
                f"source {source.name}: there is nothing at {place}; put the data there or "
                "correct the uri",
                FailureClass.USER,
            )
        found = sorted(_walk(root, source.format))
    except OSError as error:
        raise unreadable.failure(source, source.uri, error) from error
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
    return found


def suffixes(form: Format) -> tuple[str, ...]:
    """The names that files of a format end with."""
    usual = _PLAIN[form]
    packed = [s + c for c in (".gz", ".zst") for s in usual] if form in _COMPRESSED else []
    return (*usual, *packed)


def group(sizes: list[int]) -> list[int]:
    """Where parts begin, given the files' sizes in order.

    A part is filled until the next file would make it larger than a 64th of all bytes (but at least
    2 MiB, at most 256 MiB). A file is never split, so one that is larger is a part of its own.
    """
    target = min(max(sum(sizes) // _PARTS, _LEAST), _MOST)
    starts: list[int] = []
    filled = 0
    for i, size in enumerate(sizes):
        if not starts or filled + size > target:
            starts.append(i)
            filled = 0
        filled += size
    return starts


def _walk(root: Path, form: Format) -> Iterator[tuple[str, Path, int]]:
    inside = root.resolve()

    def fail(error: OSError) -> None:
        raise error

    for folder, folders, names in os.walk(root, onerror=fail):
        folders[:] = [name for name in folders if not name.startswith(".")]
        for name in names:
            path = Path(folder) / name
            if name.startswith(".") or not name.lower().endswith(suffixes(form)):
                continue
            # realpath, unlike resolve, does not mind links in a circle; they are no files
            if path.is_symlink() and not Path(os.path.realpath(path)).is_relative_to(inside):
                continue
            if path.is_file():
                yield path.relative_to(root).as_posix(), path, path.stat().st_size


def _hash(found: tuple[Source, str, Path, int]) -> str:
    source, relative, path, _ = found
    try:
        return hash_file(path)
    except OSError as error:
        raise unreadable.failure(source, relative, error) from error


def _is_text(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True
