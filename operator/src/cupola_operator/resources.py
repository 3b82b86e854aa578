"""Resources of the four kinds as typed values, from the dicts that a cluster holds."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, NamedTuple

from pydantic import ValidationError

from cupola_api import errors, kinds
from cupola_api.common import ModelReference, Phase, Resource, Status
from cupola_api.dataset import DatasetStatus
from cupola_api.evaluation import EvaluationStatus
from cupola_api.finetune import FineTune, FineTuneStatus
from cupola_api.pretrainjob import PretrainJob, PretrainJobStatus
from cupola_api.run import Input
from cupola_operator.cluster import Key, Object
from cupola_operator.references import references

STATUS: dict[str, type[Status]] = {
    "Dataset": DatasetStatus,
    "PretrainJob": PretrainJobStatus,
    "FineTune": FineTuneStatus,
    "Evaluation": EvaluationStatus,
}
"""Type of `status` by kind."""


class Reference(NamedTuple):
    """A resource that another one refers to."""

    key: Key
    resource: Resource | None
    """None: it does not exist, is being deleted, or is not valid; `problem` says which."""
    status: Status
    problem: str = ""

    @property
    def ready(self) -> bool:
        """Whether the run that its spec asks for is finished, with an artifact."""
        return (
            self.resource is not None
            and self.status.phase is Phase.SUCCEEDED
            and self.status.artifact is not None
            and self.status.run is not None
            and self.status.run.revision == self.resource.spec.revision
            and not (isinstance(self.status, DatasetStatus) and self.status.summary is None)
        )

    def input(self) -> Input:
        """It as an input of a run. Raises ValueError if it has no artifact."""
        if self.status.artifact is None:
            raise ValueError(f"{self.key} has no artifact")
        return Input(
            kind=self.key.kind,
            name=self.key.name,
            uri=self.status.artifact.uri,
            digest=self.status.artifact.digest,
        )


def parse(value: Object) -> tuple[Resource | None, str]:
    """The typed resource of an object, without its status; None and a sentence if not valid."""
    metadata = value["metadata"]
    whole = {
        "apiVersion": value.get("apiVersion"),
        "kind": value["kind"],
        "metadata": {
            "name": metadata["name"],
            "namespace": metadata.get("namespace", "default"),
        },
        "spec": value.get("spec"),
    }
    return _parse(value["kind"], json.dumps(whole, sort_keys=True))


@lru_cache(maxsize=4096)
def _parse(kind: str, text: str) -> tuple[Resource | None, str]:
    """Rules in CEL take milliseconds, and most looks find a spec that was seen before."""
    try:
        return kinds.parse(json.loads(text)), ""
    except ValidationError as error:
        return None, "; ".join(errors.sentences(error, kinds.KINDS[kind])[:3])
    except ValueError as error:
        return None, str(error)


class StatusUnreadable(Exception):
    """The status of a resource does not fit its type; the message says where, and the remedy."""


def read_status(key: Key, value: Any) -> Status:
    """The typed status of a resource; empty if there is none.

    Raises StatusUnreadable: taken for empty, a run that is half done would begin anew.
    """
    try:
        return STATUS[key.kind].model_validate(value or {})
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(str(part) for part in ("status", *first["loc"]))
        raise StatusUnreadable(
            f"{key}: {place} cannot be read ({first['msg']}); restore it, or delete the resource and "
            "create it again: what it made is found in the store"
        ) from error


def parse_status(kind: str, value: Any) -> Status:
    """The typed status of an object; an empty one if it has none that can be read."""
    try:
        return STATUS[kind].model_validate(value or {})
    except ValidationError:
        return STATUS[kind]()


def reference_of(key: Key, value: Object | None) -> Reference:
    """What `key` refers to, as found."""
    if value is None or value["metadata"].get("deletionTimestamp"):
        return Reference(key, None, STATUS[key.kind](), "does not exist yet; create it")
    resource, invalid = parse(value)
    status = parse_status(key.kind, value.get("status"))
    return Reference(key, resource, status, f"is not valid: {invalid}" if invalid else "")


def refers_to(resource: Resource) -> list[Key]:
    """What a resource refers to, in the order of its spec, each once."""
    return list(dict.fromkeys(key for _, key in references(resource)))


def key_of_model(reference: ModelReference, namespace: str) -> Key:
    """The key of a model that is referred to."""
    return Key(reference.kind, namespace, reference.name)


def origin(
    model: ModelReference, namespace: str, known: Mapping[Key, Reference]
) -> tuple[PretrainJob | None, Key]:
    """The PretrainJob that a model goes back to, through the bases of FineTunes.

    None if it is not known, with the key where the chain breaks or closes.
    """
    key, seen = key_of_model(model, namespace), set[Key]()
    while key not in seen:
        seen.add(key)
        resource = known[key].resource if key in known else None
        if isinstance(resource, PretrainJob):
            return resource, key
        if not isinstance(resource, FineTune):
            break
        key = key_of_model(resource.spec.base, namespace)
    return None, key
