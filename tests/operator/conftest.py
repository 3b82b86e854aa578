"""A cluster in memory, the controllers of a real one in a few lines, and worlds by value."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from itertools import count
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from cupola_api.artifact import digest_of
from cupola_api.outcome import Outcome
from cupola_operator import labels
from cupola_operator.children import text_of
from cupola_operator.cluster import AlreadyExists, Conflict, Key, NotFound, Object, key_of
from cupola_operator.observe import observe
from cupola_operator.settings import Settings

settings.register_profile(
    "operator",
    derandomize=True,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
)
settings.load_profile("operator")

START = datetime(2026, 1, 1, tzinfo=UTC)

SETTINGS = Settings.model_validate(
    {
        "store": "file:///data",
        "currency": "USD",
        "dataPool": "cpu",
        "pools": [
            {
                "name": "cpu",
                "device": "Cpu",
                "gpusPerNode": 2,
                "nodes": 4,
                "threadsPerGpu": 3,
                "pricePerGpuHour": "0.36",
                "gpuWatts": 10,
                "hostWatts": 20,
            },
            {
                "name": "h100",
                "device": "Gpu",
                "gpusPerNode": 8,
                "nodes": 2,
                "threadsPerGpu": 12,
                "pricePerGpuHour": "3.6",
                "gpuWatts": 700,
            },
        ],
    }
)


def _copy(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _copy(item) for key, item in value.items()}
    return [_copy(item) for item in value] if isinstance(value, list) else value


class FakeCluster:
    """Objects in a dict, with uids, versions, conflicts and cascading deletion."""

    def __init__(self) -> None:
        self.objects: dict[Key, Object] = {}
        self.events: list[tuple[Key, str, str, str]] = []
        self._uids, self._versions = count(1), count(1)
        self.before_patch: Callable[[], None] = lambda: None

    def get(self, key: Key) -> Object | None:
        return _copy(self.objects.get(key))

    def find(self, kind: str, namespace: str, labels: Mapping[str, str]) -> list[Object]:
        return [
            _copy(value)
            for key, value in sorted(self.objects.items())
            if (key.kind, key.namespace) == (kind, namespace)
            and labels.items() <= value["metadata"].get("labels", {}).items()
        ]

    def create(self, value: Object) -> Object:
        key = key_of(value)
        if key in self.objects:
            raise AlreadyExists(str(key))
        value = _copy(value)
        value["metadata"].setdefault("namespace", "default")
        value["metadata"] |= {"uid": f"{next(self._uids):08d}-uid", "generation": 1}
        return self._put(value)

    def delete(self, key: Key, uid: str) -> None:
        value = self.objects.get(key)
        if value is None or value["metadata"]["uid"] != uid:
            return
        if key.kind == "Pod" or value["metadata"].get("finalizers"):
            value["metadata"].setdefault("deletionTimestamp", "2026-01-01T00:01:00Z")
            return
        self.remove(key)

    def remove(self, key: Key) -> None:
        uid = self.objects.pop(key)["metadata"]["uid"]
        for child, value in list(self.objects.items()):
            owners = value["metadata"].get("ownerReferences", [])
            if any(owner["uid"] == uid for owner in owners):
                self.delete(child, value["metadata"]["uid"])

    def replace(self, value: Object) -> Object:
        there = self.objects.get(key_of(value))
        if there is None:
            raise NotFound(str(key_of(value)))
        if there["metadata"]["resourceVersion"] != value["metadata"]["resourceVersion"]:
            raise Conflict(str(key_of(value)))
        return self._put(_copy(value))

    def finalize(self, key: Key, finalizers: Sequence[str], resource_version: str) -> Object:
        value = self.get(key)
        if value is None:
            raise NotFound(str(key))
        value["metadata"] |= {"finalizers": list(finalizers), "resourceVersion": resource_version}
        value = self.replace(value)
        if not finalizers and "deletionTimestamp" in value["metadata"]:
            self.remove(key)
        return value

    def patch_status(self, key: Key, status: Mapping[str, Any], resource_version: str) -> Object:
        self.before_patch()
        value = self.objects.get(key)
        if value is None:
            raise NotFound(str(key))
        if value["metadata"]["resourceVersion"] != resource_version:
            raise Conflict(str(key))
        return self._put({**value, "status": _copy(dict(status))})

    def event(self, key: Key, *, kind: str, reason: str, message: str) -> None:
        self.events.append((key, kind, reason, message))

    def _put(self, value: Object) -> Object:
        value["metadata"] = value["metadata"] | {"resourceVersion": str(next(self._versions))}
        self.objects[key_of(value)] = value
        return _copy(value)

    def apply(self, value: Object) -> Key:
        """Create a resource, or change its spec."""
        key = key_of(value)
        old = self.objects.get(key)
        if old is None:
            return key_of(self.create(value))
        if old["spec"] != value["spec"]:
            metadata = old["metadata"] | {"generation": old["metadata"]["generation"] + 1}
            self._put({**old, "metadata": metadata, "spec": value["spec"]})
        return key


class Controllers:
    """The training operator, the Job controller and the kubelet, moved by hand."""

    def __init__(self, cluster: FakeCluster) -> None:
        self.cluster = cluster
        self.now = START

    def sync(self) -> None:
        """Make the pods that live Jobs lack; finish Jobs whose pods ended; remove ended pods."""
        for key, value in list(self.cluster.objects.items()):
            if key.kind == "Pod" and value["metadata"].get("deletionTimestamp"):
                self.cluster.remove(key)
        for key, job in list(self.cluster.objects.items()):
            if key.kind == "PyTorchJob":
                self._gang(job)
            elif key.kind == "Job":
                self._indexed(job)

    def pods(self, name: str | None = None) -> list[Object]:
        """The pods there are, of one Job or of all."""
        return [
            value
            for key, value in sorted(self.cluster.objects.items())
            if key.kind == "Pod" and (name is None or key.name.startswith(f"{name}-"))
        ]

    def start(self, pod: Object, ip: str = "10.0.0.1") -> None:
        pod["status"] = {
            "phase": "Running",
            "startTime": text_of(self.now),
            "podIP": ip,
            "containerStatuses": [
                {"name": self._container(pod), "state": {"running": {"startedAt": ""}}}
            ],
        }

    def end(
        self, pod: Object, outcome: Outcome | None = None, code: int = 0, reason: str = ""
    ) -> None:
        pod.setdefault("status", {}).setdefault("startTime", text_of(self.now))
        terminated: Object = {"exitCode": code, "finishedAt": text_of(self.now), "reason": reason}
        if outcome:
            terminated["message"] = outcome.write()
        pod["status"]["phase"] = "Succeeded" if code == 0 else "Failed"
        pod["status"]["containerStatuses"] = [
            {"name": self._container(pod), "state": {"terminated": terminated}}
        ]

    @staticmethod
    def _container(pod: Object) -> str:
        return pod["spec"]["containers"][0]["name"]

    def _gang(self, job: Object) -> None:
        name = job["metadata"]["name"]
        if job.get("status"):
            return
        pods = [
            self._pod(
                job,
                f"{name}-{role.lower()}-{index}",
                spec["template"],
                {
                    "training.kubeflow.org/replica-type": role.lower(),
                    "training.kubeflow.org/replica-index": str(index),
                },
            )
            for role, spec in job["spec"]["pytorchReplicaSpecs"].items()
            for index in range(spec["replicas"])
        ]
        phases = [pod.get("status", {}).get("phase") for pod in pods]
        if phases[0] == "Succeeded":
            job["status"] = {"conditions": [{"type": "Succeeded", "status": "True"}]}
        elif "Failed" in phases:
            job["status"] = {"conditions": [{"type": "Failed", "status": "True"}]}
        if job.get("status"):
            for pod in pods:
                if pod.get("status", {}).get("phase") in (None, "Running"):
                    self.cluster.remove(key_of(pod))

    def _indexed(self, job: Object) -> None:
        name, spec = job["metadata"]["name"], job["spec"]
        if job.get("status"):
            return
        pods = [
            self._pod(
                job,
                f"{name}-{index}-x",
                spec["template"],
                {"batch.kubernetes.io/job-completion-index": str(index)},
            )
            for index in range(spec["completions"])
        ]
        phases = {pod.get("status", {}).get("phase") for pod in pods}
        if phases == {"Succeeded"}:
            job["status"] = {"conditions": [{"type": "Complete", "status": "True"}]}
        elif phases <= {"Succeeded", "Failed"}:
            job["status"] = {"conditions": [{"type": "Failed", "status": "True"}]}

    def _pod(self, job: Object, name: str, template: Object, labels: dict[str, str]) -> Object:
        key = Key("Pod", job["metadata"]["namespace"], name)
        if key not in self.cluster.objects:
            self.cluster.create(
                {
                    "apiVersion": "v1",
                    "kind": "Pod",
                    "metadata": {
                        "name": name,
                        "namespace": key.namespace,
                        "labels": template["metadata"]["labels"] | labels,
                        "ownerReferences": [
                            {
                                "kind": job["kind"],
                                "name": job["metadata"]["name"],
                                "uid": job["metadata"]["uid"],
                                "controller": True,
                            }
                        ],
                    },
                    "spec": template["spec"],
                }
            )
        return self.cluster.objects[key]


DATASET = {"sources": [{"name": "web", "uri": "store:///raw", "format": "Jsonl"}]}
PRETRAIN = {
    "datasets": [{"name": "data"}],
    "model": {"size": "2M", "context": 256},
    "tokens": "2M",
    "parallelism": {"nodes": 2},
}
FINETUNE = {"base": {"pretrainJob": "base"}, "dataset": "data"}
EVALUATION = {
    "model": {"fineTune": "tuned"},
    "compareTo": {"pretrainJob": "base"},
    "tasks": [
        {"name": "answers", "perplexity": {"dataset": "data"}},
        {"name": "mmlu", "harness": {"task": "mmlu", "data": "store:///mmlu"}},
    ],
    "thresholds": [{"task": "answers", "metric": "perplexity", "maxDrop": 0.5}],
}
SPECS = {
    "Dataset": ("data", DATASET),
    "PretrainJob": ("base", PRETRAIN),
    "FineTune": ("tuned", FINETUNE),
    "Evaluation": ("exam", EVALUATION),
}


def resource(kind: str, name: str | None = None, **spec: Any) -> Object:
    """A resource of a kind; `spec` replaces fields of one that works."""
    usual, fields = SPECS[kind]
    return {
        "apiVersion": "cupola.dev/v1alpha1",
        "kind": kind,
        "metadata": {
            "name": name or usual,
            "namespace": "default",
            "finalizers": [labels.FINALIZER],  # as of any resource that ever had pods
        },
        "spec": {**fields, **spec},
    }


def summary(**fields: Any) -> Object:
    """The summary of a Dataset."""
    return {
        "documentsRead": 10,
        "documentsKept": 9,
        "tokens": 900,
        "validationTokens": 50,
        "vocabulary": 4096,
        "tokenizerDigest": digest_of("tokenizer"),
        **fields,
    }


def done(kind: str, name: str | None = None, *, artifact: str = "", **fields: Any) -> Object:
    """A finished resource of a kind; `fields` are of its spec."""
    value = resource(kind, name, **fields)
    name = value["metadata"]["name"]
    value["status"] = {
        "phase": "Succeeded",
        "run": {"revision": value["spec"].get("revision", 1), "digest": digest_of(name)},
        "artifact": {
            "uri": f"file:///data/default/{kind.lower()}/{name}/0/artifact",
            "digest": digest_of(artifact or f"{kind}/{name}"),
            "bytes": 10,
        },
    }
    if kind == "Dataset":
        value["status"]["summary"] = summary()
    if kind in ("PretrainJob", "FineTune"):
        value["status"]["model"] = {
            "parameters": 2_000_000,
            "tokenizerDigest": digest_of("tokenizer"),
        }
    return value


def world(cluster: FakeCluster, key: Key, now: datetime = START, **changes: Any) -> Any:
    """What `observe` sees."""
    changes.setdefault("scrape", lambda _: {})
    settings = changes.pop("settings", SETTINGS)
    return observe(cluster, settings, key, now, changes.pop("scrape"), **changes)


@pytest.fixture(scope="session")
def kit() -> Any:
    """Everything above by name."""
    return SimpleNamespace(
        copy=_copy,
        START=START,
        SETTINGS=SETTINGS,
        Cluster=FakeCluster,
        Controllers=Controllers,
        resource=resource,
        summary=summary,
        done=done,
        world=world,
        seconds=lambda n: timedelta(seconds=n),
    )
