"""The files that filters read besides the sources: block-lists, examples and benchmarks."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import chain
from pathlib import Path
from typing import Any

from cupola_api.dataset import Format, NamedFile, Source
from cupola_api.errors import plain
from cupola_api.filters import Benchmark, BlockList
from cupola_api.outcome import FailureClass
from cupola_api.run import CurateRun
from cupola_trainer.curate.batches import batches
from cupola_trainer.curate.filters.blocking import Blocking
from cupola_trainer.curate.filters.classifier import Classifier, train
from cupola_trainer.curate.filters.decontaminating import Decontaminating
from cupola_trainer.curate.packed import Damaged, unpacked
from cupola_trainer.curate.unreadable import LONGEST
from cupola_trainer.pod import PodFailure

MAX_BYTES = 1 << 30
"""Text of one list or benchmark, at most: it is held in memory as numbers."""

GOOD = "classifier-good"
BAD = "classifier-bad"
EXAMPLES = {GOOD, BAD}
"""What only the classifier is made from, when sources are listed."""

_BATCH = 1 << 20
_EXAMPLES = 32 << 20
"""Characters of each set that a classifier learns from, at most."""


def as_source(file: NamedFile) -> Source:
    """The same to what finds and copies the files of sources."""
    if file.name.startswith("block-"):
        form = Format.TEXT
    elif file.uri.lower().endswith(".parquet"):
        form = Format.PARQUET
    else:
        form = Format.JSONL
    return Source(name=file.name, uri=file.uri, format=form)


def read_blocking(run: CurateRun, files: dict[str, list[Path]]) -> Blocking | None:
    """The block-lists of a run; `files`: by name of rule. Raises PodFailure, or OSError."""
    lists = run.curation.block_lists
    if not lists:
        return None
    blocking = Blocking()
    for one in lists:
        entries = [entry for path in files[f"block-{one.name}"] for entry in _entries(one, path)]
        if not blocking.add(one, entries):
            raise _useless(
                f"block-list {one.name}",
                "holds no entry",
                "write one a line, of at most 8 words",
            )
    return blocking


def read_decontaminating(run: CurateRun, files: dict[str, list[Path]]) -> Decontaminating | None:
    """The benchmarks of a run; `files`: by name of rule. Raises PodFailure, or OSError."""
    wanted = run.curation.decontamination
    if wanted is None:
        return None
    decontaminating = Decontaminating(wanted.words)
    for one in wanted.benchmarks:
        paths = files[f"benchmark-{one.name}"]
        texts = chain.from_iterable(_texts(one, path) for path in paths)
        if not decontaminating.add(one.name, batches(texts, _BATCH, len)):
            raise _useless(
                f"benchmark {one.name}",
                "holds no text of eight words or more",
                "name the fields that do in spec.curation.decontamination.benchmarks[].fields",
            )
    return decontaminating


def train_classifier(files: dict[str, list[Path]]) -> Classifier | None:
    """The classifier of a run, from its examples. Raises PodFailure, or OSError."""
    if GOOD not in files:
        return None
    good, bad = (batches(_documents(name, files[name]), _BATCH, len) for name in (GOOD, BAD))
    try:
        return train(good, bad)
    except ValueError as error:
        raise _useless(
            "spec.curation.classifier",
            f"has {error}",
            "give 50 of each at least, in the field text of records",
        ) from error


def _documents(name: str, paths: list[Path]) -> Iterator[str]:
    """The texts of records, up to what is learned from."""
    left = _EXAMPLES
    for path in paths:
        for record in _records(name, path):
            text = record.get("text") if isinstance(record, dict) else None
            if isinstance(text, str):
                left -= len(text)
                if left < 0:
                    return
                yield from _strings(text)


def _entries(one: BlockList, path: Path) -> Iterator[str]:
    """The lines that hold an entry."""
    for line in _lines(f"block-list {one.name}", path):
        entry = line.strip()
        if entry and not entry.startswith("#"):
            yield entry


def _texts(one: Benchmark, path: Path) -> Iterator[str]:
    """The strings of the records."""
    name = f"benchmark {one.name}"
    for number, record in enumerate(_records(name, path)):
        if not isinstance(record, dict):
            raise _damaged(name, path, f"line {number + 1} is no JSON object")
        for field in one.fields or record:
            yield from _strings(record.get(field))


def _strings(value: Any) -> Iterator[str]:
    left = [value]  # no recursion: it may be as deep as the parser bears
    while left:
        one = left.pop()
        if isinstance(one, str):
            yield one.encode(errors="replace").decode()
        elif isinstance(one, dict | list):
            left += reversed(one.values() if isinstance(one, dict) else one)


def _records(name: str, path: Path) -> Iterator[Any]:
    if path.name.lower().endswith(".parquet"):
        import polars as pl  # noqa: PLC0415  only this format needs it

        try:
            yield from pl.read_parquet(path).iter_rows(named=True)
        except (pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
            raise _damaged(name, path, str(error)) from error
        return
    for number, line in enumerate(_lines(name, path)):
        if line.strip():
            try:
                yield json.loads(line)
            except (ValueError, RecursionError) as error:
                raise _damaged(name, path, f"line {number + 1}: {error}") from error


def _lines(name: str, path: Path) -> Iterator[str]:
    left = MAX_BYTES
    try:
        with unpacked(path) as file:
            while line := file.readline(left + 1):
                left -= len(line)
                if left < 0:
                    raise _damaged(name, path, "it holds more than a gibibyte of text")
                yield line.decode("utf-8-sig")
    except (Damaged, UnicodeDecodeError) as error:
        raise _damaged(name, path, str(error)) from error


def _damaged(name: str, path: Path, why: str) -> PodFailure:
    return PodFailure(
        "ReferenceUnreadable",
        f"{name}: {plain(path.name, LONGEST)} cannot be read: {plain(why, 160)}; repair the file",
        FailureClass.DATA,
    )


def _useless(name: str, what: str, remedy: str) -> PodFailure:
    return PodFailure("ReferenceEmpty", f"{name} {what}; {remedy}", FailureClass.USER)
