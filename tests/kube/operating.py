"""Replicas of the operator as processes, and what a test sees of them and does to the cluster."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from prometheus_client.parser import text_string_to_metric_families

from .apiserver import OPERATOR, ApiServer, free_port

SETTINGS = {
    "store": "s3://bucket/prefix",
    "currency": "EUR",
    "dataPool": "cpu",
    "pools": [
        {
            "name": "cpu",
            "device": "Cpu",
            "gpusPerNode": 2,
            "nodes": 4,
            "threadsPerGpu": 1,
            "pricePerGpuHour": "0.37",
            "gpuWatts": 11,
            "hostWatts": 20,
        }
    ],
}
TERMS = {"lifetime": 60.0, "renew": 0.5, "retry": 0.3, "margin": 2.0}
BRIEF = {**TERMS, "lifetime": 4.0}
"""For tests in which a Lease has to end by itself."""

GROUP = "/apis/cupola.dev/v1alpha1"
DIGEST = "sha256:" + "0" * 64


class Replica:
    """A process of the operator that serves one namespace."""

    def __init__(
        self, server: ApiServer, namespace: str, name: str = "one", **options: Any
    ) -> None:
        self.port = free_port()
        self.log = server.folder / f"{namespace}-{name}.log"
        settings = server.folder / "settings.json"
        settings.write_text(json.dumps(SETTINGS))
        chosen = {
            "namespaces": [namespace],
            "own_namespace": namespace,
            "identity": name,
            "host": "127.0.0.1",
            "port": self.port,
            "check_every": 0.5,
            "terms": TERMS,
            **options,
        }
        program = Path(__file__).with_name("replica.py")
        with self.log.open("wb") as log:
            self.process = subprocess.Popen(
                [sys.executable, str(program), str(settings), json.dumps(chosen)],
                stderr=log,
                env={**os.environ, "KUBECONFIG": str(server.kubeconfig(OPERATOR))},
            )

    def page(self, path: str) -> tuple[int, str]:
        """Status and text of a page; 0 while nobody answers."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}{path}", timeout=5) as page:
                return page.status, page.read().decode()
        except urllib.error.HTTPError as error:
            return error.code, error.read().decode()
        except OSError:
            return 0, ""

    def metrics(self) -> dict[tuple[str, frozenset[tuple[str, str]]], float]:
        """(name, labels) -> value."""
        families = text_string_to_metric_families(self.page("/metrics")[1])
        return {
            (sample.name, frozenset(sample.labels.items())): sample.value
            for family in families
            for sample in family.samples
        }

    def leads(self) -> bool:
        return self.metrics().get(("cupola_leader", frozenset())) == 1

    def said(self) -> str:
        return self.log.read_text()

    def end(self) -> None:
        self.process.kill()
        self.process.wait(10)


def until(holds: Callable[[], Any], seconds: float = 60.0) -> Any:
    """What `holds` returns as soon as that is true."""
    deadline = time.monotonic() + seconds
    while not (value := holds()):
        assert time.monotonic() < deadline, "it does not come true"
        time.sleep(0.05)
    return value


class World:
    """A namespace with resources, and the controllers of a cluster moved by hand."""

    def __init__(self, server: ApiServer, namespace: str) -> None:
        self.server = server
        self.namespace = namespace

    def apply(self, value: dict[str, Any]) -> None:
        """Create a resource; its status, if it has one, is written, too."""
        value = {**value, "metadata": {**value["metadata"], "namespace": self.namespace}}
        path = f"{GROUP}/namespaces/{self.namespace}/{value['kind'].lower()}s"
        self.server.call("POST", path, value)
        if "status" in value:
            name = value["metadata"]["name"]
            self.server.call("PATCH", f"{path}/{name}/status", {"status": value["status"]})

    def status(self, plural: str, name: str) -> dict[str, Any]:
        path = f"{GROUP}/namespaces/{self.namespace}/{plural}/{name}"
        return dict(self.server.call("GET", path).get("status") or {})

    def ready(self, plural: str, name: str) -> tuple[str, str]:
        """Reason and message of the condition Ready."""
        for condition in self.status(plural, name).get("conditions", []):
            if condition["type"] == "Ready":
                return condition["reason"], condition["message"]
        return "", ""

    def list(self, root: str, plural: str) -> list[dict[str, Any]]:
        path = f"{root}/namespaces/{self.namespace}/{plural}"
        return list(self.server.call("GET", path)["items"])

    def start_pod(self, job: dict[str, Any], started: datetime) -> str:
        """What a controller and a kubelet do: a pod of the Job runs since then; its name."""
        name = f"{job['metadata']['name']}-0"
        template = job["spec"]["template"]
        owner = {"apiVersion": "batch/v1", "kind": "Job", "controller": True}
        metadata = {
            "name": name,
            "labels": template["metadata"]["labels"],
            "ownerReferences": [
                owner | {"name": job["metadata"]["name"], "uid": job["metadata"]["uid"]}
            ],
        }
        path = f"/api/v1/namespaces/{self.namespace}/pods"
        pod = {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": template["spec"]}
        self.server.call("POST", path, pod)
        time_ = started.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        status = {
            "phase": "Running",
            "startTime": time_,
            "containerStatuses": [
                {
                    "name": "main",
                    "image": "x",
                    "imageID": "",
                    "ready": True,
                    "restartCount": 0,
                    "state": {"running": {"startedAt": time_}},
                }
            ],
        }
        self.server.call("PATCH", f"{path}/{name}/status", {"status": status})
        return name

    def creates(self) -> dict[str, int]:
        """How many creates of each child the operator sent, by resource and name."""
        found: dict[str, int] = {}
        for request in self.requests():
            reference = request["objectRef"]
            if request["verb"] == "create" and reference["resource"] not in ("events", "leases"):
                name = f"{reference['resource']}/{reference.get('name', '')}"
                found[name] = found.get(name, 0) + 1
        return found

    def requests(self) -> list[dict[str, Any]]:
        """The operator's requests about this namespace, as the audit log has them."""
        return [
            request
            for request in self.server.requests()
            if request["user"]["username"] == "operator"
            and request.get("objectRef", {}).get("namespace") == self.namespace
        ]


def dataset(name: str = "data", *, done: bool = False) -> dict[str, Any]:
    """A Dataset; `done`: one that has Succeeded."""
    value: dict[str, Any] = {
        "apiVersion": "cupola.dev/v1alpha1",
        "kind": "Dataset",
        "metadata": {"name": name},
        "spec": {
            "sources": [{"name": "web", "uri": "store:///raw", "format": "Jsonl"}],
            "tokenizer": {"train": {"vocabSize": 4096}},
        },
    }
    if done:
        value["spec"]["suspend"] = True  # so that it is not begun before its status is written
        value["status"] = {
            "phase": "Succeeded",
            "run": {"revision": 1, "digest": DIGEST},
            "artifact": {"uri": "s3://bucket/prefix/data", "digest": DIGEST, "bytes": 10},
            "summary": {
                "documentsRead": 10,
                "documentsKept": 9,
                "tokens": 900,
                "validationTokens": 50,
                "vocabulary": 4096,
                "tokenizerDigest": DIGEST,
            },
        }
    return value


def pretrain(name: str = "base") -> dict[str, Any]:
    """A PretrainJob on the Dataset `data`."""
    return {
        "apiVersion": "cupola.dev/v1alpha1",
        "kind": "PretrainJob",
        "metadata": {"name": name},
        "spec": {
            "datasets": [{"name": "data"}],
            "model": {"size": "2M", "context": 256},
            "tokens": "2M",
            "parallelism": {"nodes": 2},
        },
    }
