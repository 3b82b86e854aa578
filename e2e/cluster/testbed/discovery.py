"""Tells Prometheus what to scrape. Debian's is built without the discovery of Kubernetes.

The usual annotations (prometheus.io/scrape, /port, /path) on pods and on Services, and container
ports named `metrics`. Prometheus notices by itself when the file changes.
"""

import json
import signal
import ssl
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from testbed.layout import ETC, INSIDE, NODE_IP, PORTS

TARGETS = INSIDE / "targets.json"
EVERY = 1.0
"""Seconds between two looks."""

Object = dict[str, Any]


def run(token: str) -> None:
    """Look and write until killed; a server that does not answer is asked again."""
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    trust = ssl.create_default_context(cafile=str(ETC / "ca.crt"))
    written = ""
    while True:
        try:
            found = [*pod_targets(_list("pods", token, trust))]
            found += service_targets(
                _list("services", token, trust), _list("endpoints", token, trust)
            )
        except (OSError, ValueError) as error:
            print(f"discovery: {error}", flush=True)
        else:
            if (text := json.dumps(found)) != written:
                written = _replace(TARGETS, text)
        time.sleep(EVERY)


def pod_targets(pods: list[Object]) -> Iterator[Object]:
    """By annotation, and each container port named `metrics` of the pods without one."""
    for pod in pods:
        address = pod.get("status", {}).get("podIP")
        if not address or pod["status"].get("phase") != "Running":
            continue
        metadata = pod["metadata"]
        path, port = _annotated(metadata)
        ports = [port] if port else []
        if (metadata.get("annotations") or {}).get("prometheus.io/scrape") is None:
            containers = pod["spec"]["containers"]
            listed = [entry for container in containers for entry in container.get("ports", [])]
            ports = [entry["containerPort"] for entry in listed if entry.get("name") == "metrics"]
        for number in ports:
            names = {"namespace": metadata["namespace"], "pod": metadata["name"], "job": "pods"}
            yield _target(f"{address}:{number}", path, **names)


def service_targets(services: list[Object], endpoints: list[Object]) -> Iterator[Object]:
    """Every ready address behind an annotated Service."""
    wanted = {
        (service["metadata"]["namespace"], service["metadata"]["name"]): _annotated(
            service["metadata"]
        )
        for service in services
    }
    for entry in endpoints:
        namespace, name = entry["metadata"]["namespace"], entry["metadata"]["name"]
        path, port = wanted.get((namespace, name), ("", None))
        if port is None:
            continue
        for subset in entry.get("subsets") or []:
            for address in subset.get("addresses") or []:
                pod = address.get("targetRef", {}).get("name", "")
                place = f"{address['ip']}:{port}"
                yield _target(place, path, namespace=namespace, pod=pod, job=name)


def _annotated(metadata: Object) -> tuple[str, int | None]:
    """Path and port that the annotations name; no port = not to be scraped."""
    notes = metadata.get("annotations") or {}
    path = notes.get("prometheus.io/path", "/metrics")
    if notes.get("prometheus.io/scrape") != "true":
        return path, None
    port = notes.get("prometheus.io/port", "80")
    return path, int(port) if port.isdecimal() else 80


def _target(place: str, path: str, **labels: str) -> Object:
    return {"targets": [place], "labels": {"__metrics_path__": path, **labels}}


def _list(kind: str, token: str, trust: ssl.SSLContext) -> list[Object]:
    url = f"https://{NODE_IP}:{PORTS['api']}/api/v1/{kind}?resourceVersion=0"
    request = urllib.request.Request(url, headers={"Authorization": f"Bearer {token}"})
    with urllib.request.urlopen(request, timeout=5, context=trust) as answer:
        listed: list[Object] = json.load(answer)["items"]
    return listed


def _replace(path: Path, text: str) -> str:
    """Prometheus never reads half a file."""
    fresh = path.with_suffix(".new")
    fresh.write_text(text)
    fresh.replace(path)
    return text
