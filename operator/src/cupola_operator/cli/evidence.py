"""Reads what a report is made from: objects of a work directory, and files of runs.

Whatever a pod wrote is untrusted: it is read up to a bound, and left out where it has another form.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

from cupola_api.artifact import MANIFEST, ArtifactInvalid, Manifest, read_manifest
from cupola_api.common import Artifact, Resource, Status
from cupola_api.mixture import Mixture
from cupola_operator import names
from cupola_operator.children import Resolved
from cupola_operator.cli.workdir import NotThere, Workdir, local_folder
from cupola_operator.cluster import Key, Object, key_of
from cupola_operator.report import history
from cupola_operator.report.evidence import Evidence, Subject
from cupola_operator.report.history import History
from cupola_operator.resources import parse, parse_status, refers_to

MAX_BYTES = 64 * 1024 * 1024
"""Of one file."""

MAX_SAMPLES = 2000

_TAIL_BYTES = 64 * 1024


def gather(workdir: Workdir, key: Key, *, alone: bool = False) -> Evidence:
    """The resource of `key` and, unless `alone`, all that it was made from, in the order of making.

    Raises NotThere if the resource is not there or is not valid.
    """
    found: dict[Key, Subject] = {}
    missing: list[Key] = []
    seen: set[Key] = set()

    def visit(current: Key) -> None:
        seen.add(current)
        value = workdir.get(*current)
        resource, problem = parse(value) if value else (None, "it does not exist")
        if value is None or resource is None:
            if current == key:
                raise NotThere(f"{key} cannot be reported on: {problem}")
            missing.append(current)
            return
        for before in () if alone else refers_to(resource):
            if before not in seen:
                visit(before)
        found[current] = _subject(workdir, current, value, resource)

    visit(key)
    return Evidence(tuple(found.values()), tuple(missing))


def _subject(workdir: Workdir, key: Key, value: Object, resource: Resource) -> Subject:
    status = parse_status(key.kind, value.get("status"))
    run = resolved(workdir, value, status)
    notes: list[str] = []
    histories: tuple[History, ...] = ()
    if run and key.kind in ("PretrainJob", "FineTune"):
        try:
            histories = _histories(_run_folder(run, status), status)
        except NotThere as error:
            notes.append(f"its steps are not told: {error}")
    sealed: tuple[Manifest, Artifact] | None = None
    samples: tuple[Mapping[str, Any], ...] = ()
    mixture: Mixture | None = None
    if status.artifact:
        try:
            folder = local_folder(status.artifact.uri)
            sealed = _sealed(folder)
            samples = tuple(islice(_samples(folder / "samples.jsonl"), MAX_SAMPLES))
            mixture = _mixture(folder / "curation.json")
        except (NotThere, ArtifactInvalid, OSError) as error:
            notes.append(f"its artifact was not looked at: {error}")
    return Subject(
        key=key,
        resource=resource,
        status=status,
        run=run,
        histories=histories,
        sealed=sealed,
        samples=samples,
        mixture=mixture,
        notes=tuple(notes),
        events=tuple(workdir.events(value)),
    )


def resolved(workdir: Workdir, value: Object, status: Status) -> Resolved | None:
    """The run that a status speaks of, if it was resolved and can be read."""
    key = key_of(value)
    spec = value.get("spec") or {}
    revision = status.run.revision if status.run else spec.get("revision", 1)
    config = workdir.get("ConfigMap", key.namespace, names.config_map(key.kind, key.name, revision))
    return Resolved.of(config) if config else None


def reached(run: Resolved | None, status: Status) -> dict[int, int]:
    """Of each attempt of a training, the last step that it wrote down, where that can be read."""
    if run is None:
        return {}
    try:
        files = sorted(_run_folder(run, status).glob("*/history.jsonl"))
        tails = {_attempt(file): history.parse(_tail(file)) for file in files}
    except (NotThere, OSError):
        return {}
    return {number: points[-1].step for number, points in tails.items() if points}


def _attempt(file: Path) -> int:
    """The number of the attempt that wrote a file in its folder, `a2-3f2c9b1e`."""
    number = re.match(r"a(\d+)", file.parent.name)
    return int(number[1]) if number else 0


def _tail(path: Path) -> list[str]:
    """The last lines of a file, the first of them torn perhaps."""
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - _TAIL_BYTES))
        return file.read(_TAIL_BYTES).decode(errors="replace").splitlines()


def _run_folder(run: Resolved, status: Status) -> Path:
    """The folder of a run: two levels above its artifact; before there is one, as its pods see it."""
    if status.artifact:
        return local_folder(status.artifact.uri).parent.parent
    return local_folder(run.run.folder)


def _histories(folder: Path, status: Status) -> tuple[History, ...]:
    files = sorted(folder.glob("*/history.jsonl"))
    found = [(_attempt(file), history.parse(_lines(file))) for file in files]
    ended = {
        a.number: a.checkpoint_step for a in status.attempts if a.outcome not in (None, "Succeeded")
    }
    return tuple(history.histories(found, ended))


def _sealed(folder: Path) -> tuple[Manifest, Artifact]:
    if (folder / MANIFEST).stat().st_size > MAX_BYTES:
        raise ArtifactInvalid(f"{folder / MANIFEST} is larger than {MAX_BYTES} bytes")
    return read_manifest(folder)


def _samples(path: Path) -> Iterator[Mapping[str, Any]]:
    for line in _lines(path):
        try:
            value = json.loads(line)
        except (ValueError, RecursionError):
            continue
        if isinstance(value, dict):
            yield value


def _mixture(path: Path) -> Mixture | None:
    """What a Dataset says of its documents, if it says that in a form that is known."""
    text = "".join(_lines(path))
    try:
        return Mixture.model_validate(json.loads(text)["mixture"])
    except (ValueError, RecursionError, KeyError, TypeError):
        return None


def _lines(path: Path) -> Iterator[str]:
    """The lines of a file, up to MAX_BYTES; none of one that is not there."""
    try:
        file = path.open("rb")
    except FileNotFoundError:
        return
    with file:
        left = MAX_BYTES
        while left > 0 and (line := file.readline(left)):
            left -= len(line)
            yield line.decode(errors="replace")
