"""Stage `list`: which files there are, what is in them by hash, and which pod reads which.

The digest of a listing says what the data is: source, path below it, size and sha256 of every file.
It holds no place, so the same files anywhere give the same digest.
"""

from __future__ import annotations

import hashlib
import tempfile
from pathlib import Path

from pydantic import Field, ValidationError

from cupola_api.artifact import digest_of
from cupola_api.base import Model
from cupola_api.dataset import Source
from cupola_api.outcome import FailureClass, Outcome, OutcomeKind
from cupola_api.outcome import Listing as ListingOutcome
from cupola_api.run import CurateRun, ListRun
from cupola_trainer import storage
from cupola_trainer.curate import hub
from cupola_trainer.curate.filters.classifier import Classifier
from cupola_trainer.curate.progress import Progress
from cupola_trainer.curate.references import BAD, GOOD, as_source, train_classifier
from cupola_trainer.curate.sources import hashes, walk
from cupola_trainer.failures import StoreError
from cupola_trainer.pod import PodFailure
from cupola_trainer.storage import Place

CLASSIFIER = "classifier"
"""The source, in a listing, of the classifier that was trained."""

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
    references: list[SourceFile] = Field(
        default_factory=list,
        description="What filters read: block-lists, examples, a classifier, benchmarks.",
    )

    commits: dict[str, str] = Field(
        default_factory=dict, description="For each source on the hub, the commit of its files."
    )

    @property
    def digest(self) -> str:
        """Identity of the data, not of the grouping, which follows from it."""
        return digest_of([file.to_json() for file in (*self.files, *self.references)])

    def source_digest(self, name: str) -> str:
        """Identity of one source's data."""
        return digest_of([file.to_json() for file in self.files if file.source == name])

    def reference_digest(self, name: str) -> str:
        """Identity of a block-list or benchmark, by the name of its rule."""
        return digest_of([file.to_json() for file in self.files_of_reference(name)])

    def files_of_reference(self, name: str) -> list[SourceFile]:
        """The files of a block-list or benchmark, by the name of its rule."""
        return [file for file in self.references if file.source == name]

    def files_of(self, part: int) -> list[SourceFile]:
        """The files of a part."""
        return self.files[self.parts[part] : [*self.parts, len(self.files)][part + 1]]


def list_sources(run: ListRun) -> Outcome:
    """Walk and hash the sources, store the listing, say where it is."""
    progress = Progress("list")
    besides = [as_source(file) for file in run.files or ()]
    hubs = {source.name: hub.files(source) for source in run.sources if hub.is_hub(source)}
    found = [(source, walk(source)) for source in run.sources if source.name not in hubs]
    read = [(source, walk(source)) for source in besides]
    listed = {source.name: _hashed(source, there, progress) for source, there in found}
    for source in run.sources:
        if source.name in hubs:
            listed[source.name] = _of_hub(source, *hubs[source.name], progress)
    files = [file for source in run.sources for file in listed[source.name]]
    references = [file for source, there in read for file in _hashed(source, there, progress)]
    classifier = _classifier(run, {source.name: there for source, there in read})
    if classifier:
        references.append(classifier)
    parts = group([file.bytes for file in files])
    commits = {name: commit for name, (commit, _) in hubs.items()}
    listing = Listing(files=files, parts=parts, references=references, commits=commits)
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


def _hashed(
    source: Source, there: list[tuple[str, Place, int]], progress: Progress
) -> list[SourceFile]:
    files = []
    for (path, _, size), sha256 in zip(there, hashes(source, there), strict=True):
        files.append(SourceFile(source=source.name, path=path, bytes=size, sha256=sha256))
        progress.add(1, size)
    return files


def _of_hub(
    source: Source, commit: str, there: list[hub.HubFile], progress: Progress
) -> list[SourceFile]:
    files = []
    for file in there:
        sha256 = hub.digest(source, commit, file)
        entry = SourceFile(source=source.name, path=file.path, bytes=file.bytes, sha256=sha256)
        files.append(entry)
        progress.add(1, file.bytes)
    return files


def load_classifier(run: CurateRun, listing: Listing) -> Classifier | None:
    """The classifier that was trained for a run. Raises PodFailure if it is not that one."""
    for file in listing.files_of_reference(CLASSIFIER):
        place = storage.place_of(f"{run.listing.rpartition('/')[0]}/{file.path}")
        try:
            data = storage.read(place)
        except FileNotFoundError:
            data = b""
        if hashlib.sha256(data).hexdigest() != file.sha256:
            raise PodFailure(
                "ListingInvalid",
                f"the classifier {place} is not the one that was trained; delete the listing "
                f"{run.listing} and let the stage `list` run again",
                FailureClass.INFRASTRUCTURE,
            )
        return Classifier.from_json(data)
    return None


def _classifier(run: ListRun, there: dict[str, list[tuple[str, Place, int]]]) -> SourceFile | None:
    """Train a classifier on the examples that there are, and store it beside the listing."""
    if GOOD not in there:
        return None
    with tempfile.TemporaryDirectory() as scratch:
        examples = {
            name: storage.copied(
                [(place, size) for _, place, size in there[name]], Path(scratch) / name
            )
            for name in (GOOD, BAD)
        }
        classifier = train_classifier(examples)
    if classifier is None:
        return None
    print(f"list: classifier {classifier.facts}", flush=True)
    data = classifier.to_json()
    sha256 = hashlib.sha256(data).hexdigest()
    path = f"{sha256[:16]}.classifier.json"
    storage.write(storage.place_of(f"{run.output}/listings/{path}"), data)
    return SourceFile(source=CLASSIFIER, path=path, bytes=len(data), sha256=sha256)


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
