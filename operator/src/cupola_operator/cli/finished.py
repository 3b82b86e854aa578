"""Finished trainings, to learn from: of a work directory, or of a list that kubectl wrote.

Only what was resolved can be learned from: a training comes with the ConfigMap of its run.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, NamedTuple

import typer
import yaml

from cupola_api.common import Resource
from cupola_api.pretrainjob import PretrainJob, PretrainJobStatus
from cupola_operator import names
from cupola_operator.children import Resolved
from cupola_operator.cli.workdir import Workdir
from cupola_operator.cluster import Key, Object, key_of
from cupola_operator.resources import parse, parse_status

MAX_BYTES = 256 * 1024 * 1024
"""Of a list."""

Option = Annotated[
    list[Path] | None,
    typer.Option(
        "--runs",
        help="Finished runs instead of those of --workdir: what kubectl get -o yaml wrote; repeatable.",
    ),
]

_Loader: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)


class ListInvalid(Exception):
    """A file is no list of objects; a sentence says so."""


class Training(NamedTuple):
    """A PretrainJob with its status, and its run if that can be read."""

    key: Key
    labels: Mapping[str, str]
    resource: PretrainJob
    status: PretrainJobStatus
    run: Resolved | None


def trainings(objects: Sequence[Object]) -> list[Training]:
    """The PretrainJobs among objects, in their order; one that is not valid is left out."""
    by_key = {key_of(value): value for value in objects}
    found = []
    for key, value in by_key.items():
        resource: Resource | None = parse(value)[0] if key.kind == "PretrainJob" else None
        if not isinstance(resource, PretrainJob):
            continue
        status = parse_status(key.kind, value.get("status"))
        if isinstance(status, PretrainJobStatus):
            revision = status.run.revision if status.run else resource.spec.revision
            name = names.config_map(key.kind, key.name, revision)
            config = by_key.get(Key("ConfigMap", key.namespace, name))
            run = Resolved.of(config) if config else None
            notes = value["metadata"].get("labels")
            notes = notes if isinstance(notes, dict) else {}
            found.append(Training(key, notes, resource, status, run))
    return found


def objects(workdir: Path, listed: Sequence[Path]) -> list[Object]:
    """Those of the files, or of the work directory where no file is named.

    Raises NotThere and MirrorBroken of the work directory, OSError, and ListInvalid.
    """
    if not listed:
        return Workdir(workdir).everything()
    return [value for path in listed for value in _listed(path)]


def _listed(path: Path) -> list[Object]:
    with path.open("rb") as file:
        data = file.read(MAX_BYTES + 1)
    if len(data) > MAX_BYTES:
        raise ListInvalid(f"{path} is larger than {MAX_BYTES >> 20} MiB; list fewer objects")
    try:
        documents = list(yaml.load_all(data, Loader=_Loader))
    except (yaml.YAMLError, RecursionError) as error:
        first = str(error).partition("\n")[0]
        raise ListInvalid(f"{path} is neither YAML nor JSON: {first}") from error
    found: list[Object] = []
    for document in documents:
        items = document.get("items", [document]) if isinstance(document, dict) else None
        if not isinstance(items, list) or not all(map(_is_object, items)):
            raise ListInvalid(
                f"{path} holds no Kubernetes objects; write it with kubectl get "
                "pretrainjobs,configmaps -A -o yaml"
            )
        found += items
    return found


def _is_object(value: Any) -> bool:
    metadata = value.get("metadata") if isinstance(value, dict) else None
    return (
        isinstance(metadata, dict)
        and isinstance(value.get("kind"), str)
        and isinstance(metadata.get("name"), str)
    )
