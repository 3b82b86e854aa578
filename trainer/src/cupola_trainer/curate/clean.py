"""Stage `clean`: read the documents of a part, drop what breaks a rule, replace private data.

Documents are worked on in batches of about a quarter of a mebibyte, which fit the processor's
cache, and written in files of about 64 MiB of text, so memory does not grow with the part.
"""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import chain, groupby
from pathlib import Path
from typing import Any

import polars as pl

from cupola_api.artifact import canonical, hash_file
from cupola_api.dataset import PiiAction, PiiKind, Source
from cupola_api.run import CurateRun
from cupola_trainer import storage
from cupola_trainer.curate import entries, hub, listing, pii, quarantine, rows, unreadable
from cupola_trainer.curate.fields import check_text
from cupola_trainer.curate.filters.chain import Filters
from cupola_trainer.curate.filters.classifier import Classifier
from cupola_trainer.curate.identity import Identity, identify
from cupola_trainer.curate.line_signatures import LineWriter
from cupola_trainer.curate.pii import keyed
from cupola_trainer.curate.progress import Progress
from cupola_trainer.curate.quarantine import Quarantine
from cupola_trainer.curate.records import RULE_NAMES, Record, Rejected, compose, read
from cupola_trainer.curate.references import (
    EXAMPLES,
    as_source,
    read_blocking,
    read_decontaminating,
)
from cupola_trainer.curate.samples import Samples
from cupola_trainer.curate.signatures import Writer
from cupola_trainer.curate.sources import place_in
from cupola_trainer.curate.tally import Tally

_BATCH = 1 << 18
_FILE = 64 << 20


class _Part:
    """The work on one part: what was counted, and the rows not yet written."""

    def __init__(
        self,
        run: CurateRun,
        part: int,
        folder: Path,
        references: dict[str, list[Path]],
        classifier: Classifier | None,
    ) -> None:
        self._run = run
        self._part = part
        self._folder = folder
        self.tallies = [Tally() for _ in run.sources]
        self.samples = Samples()
        self.quarantine = Quarantine()
        self._filters = Filters(
            run.curation,
            self.samples,
            read_blocking(run, references),
            read_decontaminating(run, references),
            classifier,
        )
        self.bytes = 0
        """Of the files that are read to their end."""
        self._position = 0
        self._files = 0
        self._buffered = 0
        self._tables: list[pl.DataFrame] = []
        dedup, private = run.curation.dedup, run.curation.pii
        lines = dedup.lines if dedup else None
        self._signatures = Writer(dedup, part, folder, run.ranges) if dedup else None
        self._lines = LineWriter(run, lines, part, folder) if lines else None
        hashes = private is not None and private.action is PiiAction.HASH
        self.key = keyed.key_from_environment() if hashes else None

    def read(self, index: int, file: listing.SourceFile, path: Path) -> Iterator[Record | Rejected]:
        """The records of a file of source `index`, without those that are broken."""
        source, tally = self._run.sources[index], self.tallies[index]
        tally.files += 1
        for found in read(path, source, self._run.task):
            if isinstance(found, Rejected) and found.rule not in RULE_NAMES:
                self.quarantine.add(source, file.path, found, tally)
            else:
                yield found
        self.bytes += file.bytes

    def take(self, index: int, batch: list[Record]) -> None:
        """Judge, redact and keep the documents of a batch from source `index`."""
        records = []
        for record in self._filters.keep(self.tallies[index], batch):
            cleaned = self._without_private_data(self.tallies[index], record)
            if cleaned is not None:
                records.append(cleaned)
        if not records:
            return
        texts = [record.text for record in records]
        identities = [identify(text, self._run.seed) for text in texts]
        sizes = [len(text.encode()) for text in texts]
        if self._signatures:
            self._signatures.add(index, self._position, identities, texts)
        columns = {
            "part": [self._part] * len(texts),
            "position": range(self._position, self._position + len(texts)),
            "source": [index] * len(texts),
            **dict(zip(Identity._fields, zip(*identities, strict=True), strict=True)),
            "bytes": sizes,
            "pair": [record.input is not None for record in records],
            "text": texts,
            "input": [record.input for record in records],
            "output": [record.output for record in records],
            "url": [record.url or None for record in records],
            "date": [record.date or None for record in records],
        }
        self._tables.append(rows.table(columns))
        if self._lines:
            self._lines.add(self._tables[-1])
        self._position += len(texts)
        self._buffered += sum(sizes)
        if self._buffered >= _FILE or sum(t.height for t in self._tables) >= entries.MOST:
            self.flush()

    @property
    def documents(self) -> int:
        """Documents that were read."""
        return sum(tally.read for tally in self.tallies)

    def flush(self) -> None:
        """Write the rows that wait."""
        if self._tables:
            count = rows.slices(self._run.parts)
            rows.write(self._folder, self._files, self._tables, count)
            entries.write(self._folder, self._files, self._tables)
            if self._signatures:
                self._signatures.flush()
            if self._lines:
                self._lines.flush()
            self._files += 1
            self._buffered = 0
            self._tables = []

    def _without_private_data(self, tally: Tally, record: Record) -> Record | None:
        wanted = self._run.curation.pii
        if wanted is None:
            return record
        found: Counter[PiiKind] = Counter()

        def redact(text: str) -> str:
            cleaned, counts = pii.redact(text, wanted.kinds, self.key)
            found.update(counts)
            return cleaned

        prompt = None if record.input is None else redact(record.input)
        answer = None if record.output is None else redact(record.output)
        if record.composed and prompt is not None and answer is not None:
            text = compose(prompt, answer)
        else:
            text = redact(record.text)
        readable = record.url.replace("%40", "@")
        url = redact(readable) if readable else ""
        if wanted.action is not PiiAction.DROP:
            tally.redacted.update({str(kind): count for kind, count in found.items()})
            url = record.url if url == readable else url
            return replace(record, text=text, input=prompt, output=answer, url=url)
        if not found:
            return record
        tally.dropped[pii.rule_name(next(kind for kind in PiiKind if kind in found))] += 1
        return None


def clean(run: CurateRun, part: int, folder: Path) -> dict[str, Any]:
    """Do the stage for one part into `folder`; returns the facts of its manifest.

    Raises PodFailure if a file is not as it was listed, or if a source has no such field.
    """
    listed = listing.load(run)
    by_name = {source.name: (i, source) for i, source in enumerate(run.sources)}
    progress = Progress(f"clean {part}")
    size = sum(file.bytes for file in listed.files_of(part)) or 1
    with tempfile.TemporaryDirectory() as scratch:
        references = {
            file.name: [*_unchanged(as_source(file), listed.files_of_reference(file.name), place)]
            for file in run.curation.files()
            if file.name not in EXAMPLES
            for place in [Path(scratch) / ".references" / file.name]
        }
        work = _Part(run, part, folder, references, listing.load_classifier(run, listed))
        for name, files in groupby(listed.files_of(part), key=lambda file: file.source):
            index, source = by_name[name]
            there = [*files]
            found = chain.from_iterable(
                work.read(index, file, path)
                for file, path in zip(
                    there,
                    _unchanged(source, there, Path(scratch) / name, listed.commits.get(name)),
                    strict=True,
                )
            )
            for batch in _batches(found, work, index):
                work.take(index, batch)
                progress.reach(work.documents, work.bytes, work.bytes / size)
                progress.add(len(batch), sum(len(record.text) for record in batch))
    work.flush()
    progress.say()
    whole = {s.name for s in run.sources} - {
        f.source for other in range(run.parts) if other != part for f in listed.files_of(other)
    }
    for source, tally in zip(run.sources, work.tallies, strict=True):
        if source.name in whole:
            quarantine.check(run, source, tally)
            check_text(run, source, tally)
    work.quarantine.write(folder)
    (folder / "samples.json").write_bytes(canonical(work.samples.to_json()))
    facts: dict[str, Any] = {
        "sources": [tally.to_json() for tally in work.tallies],
        "worked": {"documents": work.documents, "bytes": work.bytes},
    }
    return facts | ({"key": keyed.check(work.key)} if work.key else {})


def _batches(found: Iterator[Record | Rejected], work: _Part, index: int) -> Iterator[list[Record]]:
    """Documents in batches of about a quarter of a mebibyte; counts what is read and rejected."""
    tally = work.tallies[index]
    batch: list[Record] = []
    size = 0
    for record in chain(found, (None,)):
        if isinstance(record, Record):
            tally.read += 1
            tally.pairs += record.input is not None
            tally.see(record.fields)
            batch.append(record)
            size += len(record.text)
        elif record is not None:
            tally.read += record.count
            tally.dropped[record.rule] += record.count
            tally.see(record.fields)
        if batch and (size >= _BATCH or record is None):
            yield batch
            batch, size = [], 0


def _unchanged(
    source: Source, files: list[listing.SourceFile], scratch: Path, commit: str | None = None
) -> Iterator[Path]:
    """The paths of listed files, one after the other as size and hash were checked.

    Those in S3 are first all copied to `scratch`; `commit`: of a source on the hub.
    """
    paths: Iterable[Path]
    try:
        if commit:
            paths = (hub.fetch(source, commit, file.path) for file in files)
        else:
            paths = storage.copied(
                [(place_in(source, file.path), file.bytes) for file in files], scratch
            )
    except OSError as error:
        raise unreadable.failure(source, error.filename or source.uri, error) from error
    for file, path in zip(files, paths, strict=True):
        try:
            if path.stat().st_size != file.bytes or hash_file(path) != file.sha256:
                raise unreadable.changed(source, file.path)
        except OSError as error:
            raise unreadable.failure(source, file.path, error) from error
        yield path
