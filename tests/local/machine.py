"""A store and a node with a queue between them, and what tests ask of pods."""

from __future__ import annotations

import textwrap
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from cupola_operator.cluster import Key, Object, key_of
from cupola_operator.local.node import Node
from cupola_operator.local.podfiles import PodFiles
from cupola_operator.local.processes import marked
from cupola_operator.local.store import Store
from cupola_operator.queue import Queue

NODE = Key("Node", "", "local")


class Machine:
    """A store and a node, kept in step by the queue as the shell does it."""

    def __init__(self, folder: Path, slots: int = 2) -> None:
        self.folder = folder
        self.store = Store(folder)
        self.queue = Queue(lambda _: self.node.sync())
        self.node = Node(self.store, folder, size=slots, wake=lambda: self.queue.wake(NODE))
        self.store.subscribe(lambda *_: self.queue.wake(NODE))

    def start(self) -> None:
        self.queue.run(1)
        self.queue.wake(NODE)

    def stop(self) -> None:
        hurry = threading.Event()
        hurry.set()
        self.queue.stop()
        self.node.drain(hurry)

    def run(self, name: str, code: str, **spec: Any) -> Object:
        return self.store.create(pod_of(name, ["python", "-c", textwrap.dedent(code)], **spec))

    def get(self, pod: Object) -> Object:
        value = self.store.get(key_of(pod))
        assert value
        return value

    def until(self, pod: Object, *phases: str) -> Object:
        until(lambda: self.get(pod).get("status", {}).get("phase") in phases)
        return self.get(pod)

    def alive(self, pod: Object) -> set[int]:
        return marked(PodFiles(self.folder).mark(pod))

    def delete(self, pod: Object) -> None:
        self.store.delete(key_of(pod), pod["metadata"]["uid"])

    def look(self, pod: Object) -> Object | None:
        return self.store.get(key_of(pod))

    def log(self, pod: Object) -> str:
        path = self.folder / "logs/default" / f"{pod['metadata']['name']}.log"
        return path.read_text() if path.exists() else ""


def until(condition: Callable[[], object], seconds: float = 10.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited too long"
        time.sleep(0.01)


def pod_of(name: str, command: list[str], gpus: int = 1, **spec: Any) -> Object:
    container = {"name": "main", "command": command, **spec.pop("container", {})}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": {"cupola.dev/gpus": str(gpus)}},
        "spec": {"containers": [container], "terminationGracePeriodSeconds": 5, **spec},
    }


def terminated(pod: Object) -> dict[str, Any]:
    found: dict[str, Any] = pod["status"]["containerStatuses"][0]["state"]["terminated"]
    return found


def condition(pod: Object, kind: str) -> dict[str, Any]:
    found: dict[str, Any] = next(c for c in pod["status"]["conditions"] if c["type"] == kind)
    return found


def removals(machine: Machine) -> list[Object]:
    """Pods, as they were last seen, as they go."""
    gone: list[Object] = []
    machine.store.subscribe(lambda value, deleted: gone.append(value) if deleted else None)
    return gone
