"""Stage `list`: which files there are, what is in them by hash, and which pod reads which.

The digest of a listing says what the data is: source, path below it, size and sha256 of every file.
It holds no place, so the same files anywhere give the same digest.
"""

from __future__ import annotations

from pydantic import Field, ValidationError

from cupola_api.artifact import digest_of
from cupola_api.base import Model
from cupola_api.outcome import FailureClass, Outcome, OutcomeKind
from cupola_api.outcome import Listing as ListingOutcome
from cupola_api.run import CurateRun, ListRun
from cupola_trainer import storage
from cupola_trainer.curate.progress import Progress
from cupola_trainer.curate.sources import hashes, walk
from cupola_trainer.failures import StoreError
from cupola_trainer.pod import PodFailure

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
    found = [(source, walk(source)) for source in run.sources]
    files = []
    for source, there in found:
        for (relative, _, size), sha256 in zip(there, hashes(source, there), strict=True):
            files.append(SourceFile(source=source.name, path=relative, bytes=size, sha256=sha256))
            progress.add(1, size)
    listing = Listing(files=files, parts=group([file.bytes for file in files]))
    name = listing.digest.removeprefix("sha256:")[:16]
    uri = f"{run.output}/listings/{name}.json"
    storage.write(storage.place_of(uri), listing.model_dump_json(by_alias=True).encode())
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
        listing = Listing.model_validate_json(storage.read(storage.place_of(run.listing)))
        if listing.digest == run.listing_digest and len(listing.parts) == run.parts:
            return listing
        why = "is another one"
    except StoreError:
        raise
    except OSError as error:
        why = f"cannot be read ({error.strerror})"
    except ValidationError:
        why = "is not a listing"
    raise PodFailure(
        "ListingInvalid",
        f"the listing {run.listing} {why}; delete it and let the stage `list` run again",
        FailureClass.INFRASTRUCTURE,
    )


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
