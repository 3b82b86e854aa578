"""The smallest cluster that `observe` needs: everything that is referred to has finished well."""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from cupola_api.artifact import digest_of
from cupola_api.common import Artifact, Phase
from cupola_api.dataset import DatasetSummary
from cupola_api.outcome import Listing, Outcome, OutcomeKind
from cupola_api.training import ModelSummary
from cupola_operator import labels
from cupola_operator.children import REPLICA_TYPE, text_of
from cupola_operator.cluster import Key, Object, key_of
from cupola_operator.decide import Create, Decision, Delete, decide
from cupola_operator.decide.verdict import Finalize
from cupola_operator.observe import observe
from cupola_operator.settings import Settings

from .generate import NAMES

START = datetime(2026, 1, 1, tzinfo=UTC)
RESTING = {Phase.SUCCEEDED, Phase.FAILED, Phase.STALLED, Phase.SUSPENDED, Phase.WAITING}
"""Phases in which nothing moves by itself."""

_POOL = {"nodes": 4096, "gpusPerNode": 2, "pricePerGpuHour": "0.36", "gpuWatts": 10}
SETTINGS = Settings.model_validate(
    {
        "store": "file:///data",
        "dataPool": "cpu",
        "pools": [
            _POOL | {"name": "cpu", "device": "Cpu"},
            _POOL | {"name": "h100", "device": "Gpu", "gpusPerNode": 16},
        ],
    }
)

_ARTIFACT = Artifact(uri="file:///data/a", digest=digest_of("a"), bytes=1)
_SUMMARY = DatasetSummary(
    documents_read=10,
    documents_kept=9,
    tokens=900,
    validation_tokens=50,
    examples=8,
    vocabulary=4096,
    tokenizer_digest=digest_of("tokenizer"),
)
_MODEL = ModelSummary(parameters=2_000_000, tokenizer_digest=digest_of("tokenizer"))
_LISTING = Listing(uri="file:///data/l", digest=digest_of("l"), parts=2, files=2, bytes=9)
_SPECS: dict[str, dict[str, Any]] = {
    "Dataset": {
        "sources": [{"name": "web", "uri": "store:///raw", "format": "Jsonl"}],
        "task": {"input": "q", "output": "a"},
    },
    "PretrainJob": {"datasets": [{"name": "data"}], "model": {"size": "2M", "context": 256}},
    "FineTune": {"base": {"pretrainJob": "base"}, "dataset": "data"},
}


def _finished(kind: str, name: str) -> Object:
    status: dict[str, Any] = {
        "phase": "Succeeded",
        "run": {"revision": 1, "digest": digest_of(name)},
        "artifact": _ARTIFACT.to_json(),
    }
    status |= {"summary": _SUMMARY.to_json()} if kind == "Dataset" else {"model": _MODEL.to_json()}
    return {
        "apiVersion": "cupola.dev/v1alpha1",
        "kind": kind,
        "metadata": {"name": name, "namespace": "default", "uid": f"{kind}-{name}"},
        "spec": _SPECS[kind],
        "status": status,
    }


_FINISHED = [_finished(kind, name) for kind in _SPECS for name in NAMES]
_THERE = {key_of(value): value for value in _FINISHED}


class Things:
    """A cluster of objects by value, in which pods do their work as soon as they are asked for."""

    def __init__(self, resource: Object) -> None:
        metadata = {"namespace": "default"} | resource["metadata"]
        metadata |= {"uid": "12345678-uid", "resourceVersion": "1", "generation": 1}
        self.key = key_of({**resource, "metadata": metadata})
        self.objects = _THERE | {self.key: {**resource, "metadata": metadata}}
        self.now = START

    def get(self, key: Key) -> Object | None:
        """The object, or None."""
        return self.objects.get(key)

    def find(self, kind: str, namespace: str, wanted: Mapping[str, str]) -> list[Object]:
        """The objects of a kind whose labels include those wanted."""
        return [
            value
            for key, value in self.objects.items()
            if (key.kind, key.namespace) == (kind, namespace)
            and wanted.items() <= value["metadata"].get("labels", {}).items()
        ]

    def decide(self) -> Decision:
        """Look, decide, and let the decision come true."""
        world = observe(self, SETTINGS, self.key, self.now, lambda _: {})  # type: ignore[arg-type]
        assert world
        decision = decide(world)
        for action in decision.actions:
            if isinstance(action, Create):
                self._create(action.value)
            elif isinstance(action, Delete):
                del self.objects[action.key]
            elif isinstance(action, Finalize):
                mine = self.objects[self.key]
                metadata = mine["metadata"] | {"finalizers": list(action.finalizers)}
                self.objects[self.key] = mine | {"metadata": metadata}
        if decision.status:
            mine = self.objects[self.key]
            self.objects[self.key] = mine | {"status": decision.status.to_json()}
        self.now += timedelta(seconds=1 + (decision.again or 0))
        return decision

    def _create(self, value: Object) -> None:
        name = value["metadata"]["name"]
        assert len(name) <= 63
        json.dumps(value, allow_nan=False)
        metadata = value["metadata"] | {"uid": name}
        ended = {"conditions": [{"type": "Succeeded", "status": "True"}]}
        self.objects[key_of(value)] = {**value, "metadata": metadata, "status": ended}
        if value["kind"] == "ConfigMap":
            return
        tags = metadata["labels"] | {REPLICA_TYPE: "master"}
        owner = {"kind": value["kind"], "name": name, "uid": name, "controller": True}
        said = {"exitCode": 0, "finishedAt": text_of(self.now), "message": _success(tags).write()}
        names = ("pytorch", "main")
        pod = {
            "kind": "Pod",
            "metadata": {
                "name": f"{name}-0",
                "namespace": self.key.namespace,
                "uid": f"{name}-0",
                "labels": tags,
                "ownerReferences": [owner],
            },
            "status": {
                "phase": "Succeeded",
                "startTime": text_of(self.now),
                "containerStatuses": [{"name": n, "state": {"terminated": said}} for n in names],
            },
        }
        self.objects[key_of(pod)] = pod


def _success(tags: Mapping[str, str]) -> Outcome:
    stage = tags[labels.STAGE]
    return Outcome(
        outcome=OutcomeKind.SUCCEEDED,
        listing=_LISTING if stage == "list" else None,
        artifact=None if stage in ("list", "clean", "dedup", "tokenise") else _ARTIFACT,
        dataset=_SUMMARY if stage == "publish" else None,
        model=_MODEL if stage in ("pretrain", "finetune") else None,
    )
