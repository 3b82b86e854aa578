"""Both job controllers on a real node: gangs that meet, indexes that finish, pods that are retried."""

from __future__ import annotations

import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from cupola_operator.cluster import Key, Object, key_of
from cupola_operator.local import jobs, pytorchjobs
from cupola_operator.local.controller import Sync, reconcile
from cupola_operator.local.node import Node
from cupola_operator.local.store import Store
from cupola_operator.queue import Queue

NODE = Key("Node", "", "local")
SYNCS: dict[str, Sync] = {"PyTorchJob": pytorchjobs.sync, "Job": jobs.sync}

# The master waits for its workers at MASTER_ADDR; each worker tells its rank and gets the sum.
MEETING = """
import os, socket, time
nodes, rank = int(os.environ["PET_NNODES"]), int(os.environ["RANK"])
place = os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"])
if rank == 0:
    assert os.environ["POD_IP"] == place[0]
    server = socket.create_server(place)
    met = [server.accept()[0] for _ in range(nodes - 1)]
    total = sum(int(one.recv(16)) for one in met)
    for one in met:
        one.sendall(str(total).encode())
else:
    for _ in range(200):
        try:
            link = socket.create_connection(place)
            break
        except ConnectionRefusedError:
            time.sleep(0.05)
    link.sendall(str(rank).encode())
    total = int(link.recv(16))
print(total)
"""


class Machine:
    """Store, controllers and node, kept in step by the queue as the shell does it."""

    def __init__(self, folder: Path, slots: int) -> None:
        self.folder = folder
        self.store = Store(folder)
        self.queue = Queue(self._turn)
        self.node = Node(self.store, folder, size=slots, wake=lambda: self.queue.wake(NODE))
        self.store.subscribe(self._wake)
        self.most = 0

    def _turn(self, key: Key) -> float | None:
        if key == NODE:
            again = self.node.sync()
            running = [p for p in self.store.find("Pod") if _phase(p) == "Running"]
            self.most = max(self.most, len(running))
            return again
        return reconcile(self.store, key, SYNCS[key.kind])

    def _wake(self, value: Object, _deleted: bool) -> None:
        self.queue.wake(NODE)
        for owner in value["metadata"].get("ownerReferences", []):
            self.queue.wake(Key(owner["kind"], "default", owner["name"]))
        if value["kind"] in SYNCS:
            self.queue.wake(key_of(value))

    def until(self, key: Key, condition: str, seconds: float = 20.0) -> Object:
        end = time.monotonic() + seconds
        while True:
            value = self.store.get(key)
            assert value
            found = value.get("status", {}).get("conditions", [])
            if any(c["type"] == condition and c["status"] == "True" for c in found):
                return value
            assert time.monotonic() < end, f"{key} is not {condition}: {value.get('status')}"
            time.sleep(0.02)


@pytest.fixture
def make_machine(tmp_path: Path) -> Iterator[Callable[[int], Machine]]:
    made: list[Machine] = []

    def make(slots: int) -> Machine:
        machine = Machine(tmp_path / "work", slots)
        machine.queue.run(2)
        made.append(machine)
        return machine

    yield make
    for machine in made:
        hurry = threading.Event()
        hurry.set()
        machine.queue.stop()
        machine.node.drain(hurry)


def _phase(pod: Object) -> str:
    return str(pod.get("status", {}).get("phase", ""))


def _pytorchjob(name: str, workers: int, code: str) -> Object:
    env = [{"name": "POD_IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}}]
    container = {"name": "pytorch", "command": ["python", "-S", "-c", code], "env": env}
    template = {"spec": {"containers": [container], "terminationGracePeriodSeconds": 1}}
    replica = {"replicas": 1, "restartPolicy": "Never", "template": template}
    return {
        "apiVersion": "kubeflow.org/v1",
        "kind": "PyTorchJob",
        "metadata": {"name": name},
        "spec": {
            "nprocPerNode": "1",
            "runPolicy": {"cleanPodPolicy": "Running"},
            "pytorchReplicaSpecs": {"Master": replica, "Worker": {**replica, "replicas": workers}},
        },
    }


def _job(completions: int, code: str, **spec: Any) -> Object:
    container = {"name": "main", "command": ["python", "-S", "-c", code]}
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": "j"},
        "spec": {
            "completionMode": "Indexed",
            "completions": completions,
            "template": {"spec": {"containers": [container]}},
            **spec,
        },
    }


def _log(machine: Machine, pod: str) -> str:
    path = next((machine.folder / "logs/default").glob(f"{pod}*.log"))
    return path.read_text()


def test_gangs_that_need_the_whole_machine_each_run_one_after_the_other(
    make_machine: Callable[[int], Machine],
) -> None:
    machine = make_machine(3)
    for name in ("a", "b", "c"):
        machine.store.create(_pytorchjob(name, 2, MEETING))
    for name in ("a", "b", "c"):
        machine.until(Key("PyTorchJob", "default", name), "Succeeded")
        assert _log(machine, f"{name}-master-0") == "3\n"
        assert _log(machine, f"{name}-worker-1") == "3\n"
    assert machine.most == 3


def test_a_gang_larger_than_the_machine_runs_all_the_same(
    make_machine: Callable[[int], Machine],
) -> None:
    machine = make_machine(1)
    machine.store.create(_pytorchjob("big", 3, MEETING))
    machine.until(Key("PyTorchJob", "default", "big"), "Succeeded")


def test_a_failed_member_fails_the_gang_and_the_others_are_stopped(
    make_machine: Callable[[int], Machine],
) -> None:
    machine = make_machine(2)
    code = "import os, sys, time\nif os.environ['RANK'] == '1': sys.exit(1)\ntime.sleep(100)"
    machine.store.create(_pytorchjob("a", 1, code))
    machine.until(Key("PyTorchJob", "default", "a"), "Failed")
    end = time.monotonic() + 10
    while [p["metadata"]["name"] for p in machine.store.find("Pod")] != ["a-worker-0"]:
        assert time.monotonic() < end
        time.sleep(0.02)


def test_every_index_does_its_part_within_parallelism(
    make_machine: Callable[[int], Machine], tmp_path: Path
) -> None:
    machine = make_machine(8)
    code = f"""
import os, time
index = os.environ["JOB_COMPLETION_INDEX"]
open({str(tmp_path)!r} + "/part-" + index, "w").write(index)
time.sleep(0.1)
"""
    machine.store.create(_job(5, code, parallelism=2))
    job = machine.until(Key("Job", "default", "j"), "Complete")
    assert job["status"]["completedIndexes"] == "0-4"
    assert sorted(p.name for p in tmp_path.glob("part-*")) == [f"part-{i}" for i in range(5)]
    assert machine.most == 2


def test_a_part_that_fails_is_tried_again_alone(
    make_machine: Callable[[int], Machine], tmp_path: Path
) -> None:
    machine = make_machine(2)
    code = f"""
import os, sys
index = os.environ["JOB_COMPLETION_INDEX"]
path = {str(tmp_path)!r} + "/tries-" + index
tries = len(open(path).read()) if os.path.exists(path) else 0
open(path, "a").write("x")
sys.exit(1 if index == "1" and tries == 0 else 0)
"""
    machine.store.create(_job(3, code, parallelism=3, backoffLimitPerIndex=2))
    job = machine.until(Key("Job", "default", "j"), "Complete")
    assert job["status"]["failed"] == 1
    assert [(tmp_path / f"tries-{i}").read_text() for i in range(3)] == ["x", "xx", "x"]


def test_a_deleted_job_takes_its_pods_with_it(make_machine: Callable[[int], Machine]) -> None:
    machine = make_machine(4)
    value = machine.store.create(_pytorchjob("a", 1, "import time; time.sleep(100)"))
    machine.until(key_of(value), "Running")
    machine.store.delete(key_of(value), value["metadata"]["uid"])
    end = time.monotonic() + 10
    while machine.store.find("Pod"):
        assert time.monotonic() < end
        time.sleep(0.02)
    assert machine.store.find("PyTorchJob") == []


def test_the_interpreter_of_pods_is_that_of_this_installation(
    make_machine: Callable[[int], Machine],
) -> None:
    machine = make_machine(1)
    machine.store.create(_job(1, "import sys; print(sys.executable)"))
    machine.until(Key("Job", "default", "j"), "Complete")
    assert _log(machine, "j-0-") == f"{sys.executable}\n"
