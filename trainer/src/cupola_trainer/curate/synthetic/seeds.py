"""Which documents prompts are about: different ones, in an order that only their text and the seed give.

Every pod reads all documents twice: once for their keys, of which it keeps as many as there are
answers to write, 8 bytes each, and once for the texts of its own share.
"""

from __future__ import annotations

import io
import json
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import xxhash
import zstandard

from cupola_api.dataset import Source
from cupola_api.outcome import FailureClass
from cupola_api.run import GenerateRun, Input
from cupola_trainer import storage
from cupola_trainer.curate import documents, hub, unreadable
from cupola_trainer.curate.records import Record, read
from cupola_trainer.curate.sources import walk
from cupola_trainer.pod import PodFailure

_AT_ONCE = 1 << 20


class Seeds:
    """The documents that a run asks about."""

    def __init__(self, run: GenerateRun) -> None:
        """Choose them. Raises PodFailure, or OSError if storage does not answer."""
        self._run = run
        self.keys = _lowest((key for key, _ in self._all()), run.documents)
        if not len(self.keys):
            raise PodFailure(
                "SeedsMissing",
                f"the source {run.source} has no document to ask about: {_said(run)} holds none; put "
                "some there, or name another in synthetic.seeds",
                FailureClass.DATA,
            )

    @property
    def digest(self) -> str:
        """Identity of the documents and their order."""
        return xxhash.xxh3_128_hexdigest(self.keys.tobytes())

    def key(self, number: int) -> int:
        """The key of the document that the request `number` is about."""
        return int(self.keys[number % len(self.keys)])

    def texts(self, wanted: set[int]) -> dict[int, str]:
        """The beginnings of documents by key. Raises as the constructor."""
        longest = self._run.seeds.max_characters
        found: dict[int, str] = {}
        for key, text in self._all():
            if key in wanted and key not in found:
                found[key] = text[:longest]
                if len(found) == len(wanted):
                    return found
        raise PodFailure(
            "SourceChanged",
            f"{_said(self._run)} changed while it was read; leave it as it is until the run ends",
            FailureClass.INFRASTRUCTURE,
        )

    def _all(self) -> Iterator[tuple[int, str]]:
        """(key, text) of every document."""
        for text in _texts(self._run):
            yield xxhash.xxh3_64_intdigest(text.encode(), self._run.seed), text


def _lowest(keys: Iterator[int], count: int) -> npt.NDArray[np.uint64]:
    """The lowest `count` different keys, sorted."""
    found = np.empty(0, np.uint64)
    waiting: list[int] = []

    def merged() -> npt.NDArray[np.uint64]:
        return np.unique(np.concatenate([found, np.array(waiting, np.uint64)]))[:count]

    for key in keys:
        waiting.append(key)
        if len(waiting) == _AT_ONCE:
            found, waiting = merged(), []
    return merged()


def _texts(run: GenerateRun) -> Iterator[str]:
    if run.seeds.source:
        yield from _of_source(run.seeds.source)
    elif run.seeds.dataset:
        yield from _of_dataset(run.seeds.dataset)


def _of_source(source: Source) -> Iterator[str]:
    for path in _files(source):
        for record in read(path, source, None):
            if isinstance(record, Record) and record.text.strip():
                yield record.text


def _files(source: Source) -> Iterator[Path]:
    """The files of a source on this machine, one after the other."""
    if hub.is_hub(source):
        commit, there = hub.files(source)
        for file in there:
            yield hub.fetch(source, commit, file.path)
        return
    for _, place, size in walk(source):
        scratch = Path(tempfile.mkdtemp())
        try:
            yield storage.copied([(place, size)], scratch)[0]
        except OSError as error:
            raise unreadable.failure(source, str(place), error) from error
        finally:
            shutil.rmtree(scratch, ignore_errors=True)


def _of_dataset(dataset: Input) -> Iterator[str]:
    """The training documents that a Dataset keeps."""
    folder = storage.open_input(dataset, f"{documents.FOLDER}/") / documents.FOLDER
    files = sorted(folder.glob("*.zst"))
    if not files:
        raise PodFailure(
            "DocumentsMissing",
            f"Dataset {dataset.name} keeps no documents to ask about; set its keepDocuments: true and "
            "raise its spec.revision",
            FailureClass.USER,
        )
    for path in files:
        with (
            path.open("rb") as packed,
            zstandard.ZstdDecompressor().stream_reader(packed) as raw,
            io.TextIOWrapper(raw, encoding="utf-8", newline="\n") as lines,
        ):
            for line in lines:
                document: dict[str, Any] = json.loads(line)
                if document["split"] == "train":
                    yield document["text"]


def _said(run: GenerateRun) -> str:
    if run.seeds.dataset:
        return f"Dataset {run.seeds.dataset.name}"
    return f"source {run.seeds.source.name}" if run.seeds.source else ""
