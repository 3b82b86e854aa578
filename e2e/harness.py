"""A cluster as a user sees it: kubectl, the bucket, Prometheus."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

import boto3
import pytest
from botocore.config import Config

Object = dict[str, Any]
T = TypeVar("T")

ROOT = Path(__file__).resolve().parents[1]
KUBECTL = Path(sys.executable).with_name("kubectl")
BUCKET = "cupola"
SECRET = "cupola-s3"
"""In every namespace that has resources: how its pods reach the bucket."""

OURS = "CUPOLA_CLUSTER" in os.environ
"""Whether it is the cluster of e2e/cluster, which can be disturbed and tells every write."""

disturbs = pytest.mark.skipif(not OURS, reason="disturbs the cluster of docs/how-to/cluster.md")

ENDS = {"Succeeded", "Failed", "Stalled"}


class Failed(Exception):
    """A command failed; the message is what it said."""


def kubectl(*words: str, text: str | None = None, timeout: float = 60) -> str:
    """Run kubectl; what it prints. Raises Failed."""
    ran = subprocess.run(
        [KUBECTL, *words],
        input=text,
        capture_output=True,
        text=True,
        timeout=timeout,
        check=False,
    )
    if ran.returncode:
        raise Failed(ran.stderr.strip())
    return ran.stdout


def apply(*values: Object) -> str:
    """kubectl apply -f."""
    return kubectl("apply", "-f", "-", text="\n---\n".join(json.dumps(v) for v in values))


def until(what: str, look: Callable[[], T | None], timeout: float = 120, every: float = 0.5) -> T:
    """What `look` finds, as soon as that is something. Raises AssertionError after `timeout` seconds."""
    deadline = time.monotonic() + timeout
    while True:
        found = look()
        if found:
            return found
        assert time.monotonic() < deadline, f"{what}: not within {timeout:.0f} s"
        time.sleep(every)


@dataclass
class Space:
    """A namespace for resources, held to the `restricted` Pod Security Standard."""

    name: str

    def run(self, *words: str, text: str | None = None, timeout: float = 60) -> str:
        return kubectl("--namespace", self.name, *words, text=text, timeout=timeout)

    def apply(self, *values: Object) -> str:
        """Kubectl apply -f."""
        return apply(
            *({**v, "metadata": {**v["metadata"], "namespace": self.name}} for v in values)
        )

    def get(self, kind: str, name: str) -> Object | None:
        """An object, or None."""
        told = self.run("get", kind, name, "--ignore-not-found", "-o", "json")
        return json.loads(told) if told.strip() else None

    def list(self, kind: str, of: str = "") -> list[Object]:
        """Objects of a kind; of one resource, if it is named."""
        labels = ["-l", f"cupola.dev/name={of}"] if of else []
        items: list[Object] = json.loads(self.run("get", kind, *labels, "-o", "json"))["items"]
        return items

    def status(self, kind: str, name: str) -> Object:
        """The status of a resource; empty if there is none yet."""
        value = self.get(kind, name) or {}
        status: Object = value.get("status", {})
        return status

    def wait(self, kind: str, name: str, phase: str, timeout: float = 240) -> Object:
        """The status of a resource in a phase; the test fails if it ends in another one."""

        def look() -> Object | None:
            status = self.status(kind, name)
            now = status.get("phase")
            if now != phase and now in ENDS - {"Stalled"}:
                raise AssertionError(f"{kind}/{name} is {now}: {ready(status)}")
            return status if now == phase else None

        try:
            return until(f"{kind}/{name} is {phase}", look, timeout)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.story(kind, name)}") from None

    def running(self, kind: str, name: str, pods: int, timeout: float = 120) -> list[Object]:
        """The pods of a resource that run, as soon as there are so many."""

        def look() -> list[Object] | None:
            now = [pod for pod in self.list("pods", name) if is_running(pod)]
            return now if len(now) == pods else None

        try:
            return until(f"{pods} pods of {name} run", look, timeout)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.story(kind, name)}") from None

    def begin(self, value: Object) -> list[Object]:
        """Apply a training of two pods and wait until it has a checkpoint; its pods."""
        name = value["metadata"]["name"]
        self.apply(value)
        pods = self.running("ptj", name, 2)
        self.trained(name)
        return pods

    def trained(self, name: str, step: int = 20, timeout: float = 120) -> None:
        """Wait until the first attempt of a training has a checkpoint of a step, by its log."""

        def look() -> bool:
            try:
                log = self.run("logs", f"{name}-ptj-r1-a1-master-0")
            except Failed:
                return False
            saved = re.findall(r"checkpoint of step (\d+) saved", log)
            return bool(saved) and int(saved[-1]) >= step

        try:
            until(f"{name} has a checkpoint of step {step}", look, timeout)
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.story('ptj', name)}") from None

    def events(self, name: str) -> list[str]:
        """Reasons of the Events of an object, oldest first."""
        items = [
            event
            for event in self.list("events")
            if (event.get("involvedObject") or {}).get("name") == name
        ]
        items.sort(key=lambda event: str(event.get("firstTimestamp") or event.get("eventTime")))
        return [str(event["reason"]) for event in items]

    def story(self, kind: str, name: str) -> str:
        """What a person would look at when a test fails."""
        told = [self.run("describe", kind, name)]
        for pod in self.list("pods", name):
            try:
                told.append(self.run("logs", pod["metadata"]["name"], "--tail=15"))
            except Failed as error:
                told.append(str(error))
        return "\n".join(told)[-12_000:]


def ready(status: Object) -> str:
    """Reason and sentence of a status."""
    found = [c for c in status.get("conditions", []) if c["type"] == "Ready"]
    return f"{found[0]['reason']}: {found[0]['message']}" if found else "it says nothing"


def is_running(pod: Object) -> bool:
    return pod["status"].get("phase") == "Running" and "deletionTimestamp" not in pod["metadata"]


@dataclass
class Bucket:
    """The object storage of the cluster, from outside."""

    client: Any = field(
        default_factory=lambda: boto3.client(
            "s3", config=Config(connect_timeout=5, read_timeout=30, retries={"max_attempts": 5})
        )
    )

    def upload(self, folder: Path, prefix: str) -> None:
        """Every file of a folder, below a prefix."""
        for path in sorted(p for p in folder.rglob("*") if p.is_file()):
            key = f"{prefix}/{path.relative_to(folder).as_posix()}"
            self.client.upload_file(str(path), BUCKET, key)

    def read(self, uri: str) -> bytes:
        """The bytes of s3://bucket/key."""
        bucket, _, key = uri.removeprefix("s3://").partition("/")
        body: bytes = self.client.get_object(Bucket=bucket, Key=key)["Body"].read()
        return body

    def keys(self, prefix: str) -> set[str]:
        """All keys below a prefix."""
        pages = self.client.get_paginator("list_objects_v2").paginate(Bucket=BUCKET, Prefix=prefix)
        return {item["Key"] for page in pages for item in page.get("Contents", [])}


def model(bucket: Bucket, status: Object) -> bytes:
    """The weights of a finished training."""
    return bucket.read(f"{status['artifact']['uri']}/model.safetensors")


def prometheus(query: str) -> dict[str, float]:
    """The value of each series of an instant query, by its labels written in order."""
    url = f"{os.environ['PROMETHEUS_URL']}/api/v1/query?" + urllib.parse.urlencode({"query": query})
    with urllib.request.urlopen(url, timeout=10) as answer:
        told = json.load(answer)
    return {
        ",".join(f"{k}={v}" for k, v in sorted(one["metric"].items())): float(one["value"][1])
        for one in told["data"]["result"]
    }


def ctl(*words: str) -> str:
    """Disturb the cluster: e2e/cluster/ctl."""
    ran = subprocess.run(
        [ROOT / "e2e/cluster/ctl", *words], capture_output=True, text=True, check=False, timeout=120
    )
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


def audit() -> Iterator[Object]:
    """The writes that the API server answered so far."""
    path = Path(os.environ["CUPOLA_CLUSTER"]) / "audit" / "audit.log"
    for line in path.read_text().splitlines():
        if line.startswith("{"):
            yield json.loads(line)


def creates(space: Space, kinds: set[str], of: str) -> dict[str, int]:
    """How often each child of a resource was created, by plural and name."""
    found: dict[str, int] = {}
    for event in audit():
        thing = event.get("objectRef", {})
        if (
            event["verb"] == "create"
            and event.get("responseStatus", {}).get("code") == 201
            and thing.get("namespace") == space.name
            and thing.get("resource") in kinds
            and str(thing.get("name", "")).startswith(f"{of}-")
        ):
            key = f"{thing['resource']}/{thing['name']}"
            found[key] = found.get(key, 0) + 1
    return found
