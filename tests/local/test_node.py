"""A real node: pods as processes, seen through the store as a cluster would show them."""

from __future__ import annotations

import contextlib
import errno
import os
import random
import signal
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from cupola_api.artifact import write_atomic
from cupola_operator.cluster import Object
from cupola_operator.local import mirror, node
from cupola_operator.local.mirror import Mirror
from cupola_operator.local.podfiles import PodFiles

from .machine import Machine, pod_of, terminated


def test_a_pod_runs_to_its_end_and_says_so(machine: Machine) -> None:
    config_map = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "run"},
        "data": {"run.yaml": "kind: Something"},
    }
    machine.store.create(config_map)
    pod = machine.run(
        "p",
        """
        import os, sys
        print("read", open(sys.argv[1]).read())
        open(os.environ["SCRATCH"] + "/x", "w").write("kept")
        open(os.environ["TERMINATION_LOG"], "w").write("the end of " + os.environ["NAME"])
        print("ip", os.environ["POD_IP"], "cwd", os.getcwd())
        """,
        container={
            "args": ["/run/cupola/run.yaml"],
            "env": [
                {"name": "SCRATCH", "value": "/scratch"},
                {"name": "TERMINATION_LOG", "value": "/dev/termination-log"},
                {"name": "POD_IP", "valueFrom": {"fieldRef": {"fieldPath": "status.podIP"}}},
                {"name": "NAME", "valueFrom": {"fieldRef": {"fieldPath": "metadata.name"}}},
            ],
            "volumeMounts": [
                {"name": "run", "mountPath": "/run/cupola"},
                {"name": "scratch", "mountPath": "/scratch"},
            ],
        },
        volumes=[
            {"name": "run", "configMap": {"name": "run"}},
            {"name": "scratch", "emptyDir": {}},
        ],
    )
    ended = machine.until(pod, "Succeeded", "Failed")
    assert ended["status"]["phase"] == "Succeeded", machine.log(pod)
    end = terminated(ended)
    assert (end["exitCode"], end["reason"]) == (0, "Completed")
    assert end["message"] == "the end of p"
    assert end["startedAt"] <= end["finishedAt"]
    folder = machine.folder / "pods/default" / f"p-{pod['metadata']['uid'][:8]}"
    assert (folder / "volumes/scratch/x").read_text() == "kept"
    assert machine.log(pod) == (
        f"read kind: Something\nip {ended['status']['podIP']} cwd {folder}\n"
    )


def test_a_failed_pod_tells_its_exit_code(machine: Machine) -> None:
    pod = machine.until(machine.run("p", "import sys; sys.exit(3)"), "Failed")
    assert (terminated(pod)["exitCode"], terminated(pod)["reason"]) == (3, "Error")


def test_the_environment_of_a_pod_is_its_own(machine: Machine, tmp_path: Path) -> None:
    os.environ["CUPOLA_TEST_SECRET"] = "leaked"
    try:
        pod = machine.run(
            "p",
            """
            import os, socket, sys, tempfile
            print("CUPOLA_TEST_SECRET" in os.environ, sorted(os.environ))
            socket.socket(socket.AF_UNIX).bind(tempfile.mkdtemp() + "/" + "s" * 60)
            """,
        )
        ended = machine.until(pod, "Succeeded", "Failed")
    finally:
        del os.environ["CUPOLA_TEST_SECRET"]
    assert machine.log(pod).startswith("False ")
    assert ended["status"]["phase"] == "Succeeded", machine.log(pod)
    assert not list(Path("/tmp").glob(f"cupola-{pod['metadata']['uid'][:13]}*"))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"volumes": [{"name": "v", "configMap": {"name": "none"}}]}, "ConfigMap none"),
        ({"initContainers": [{"name": "i"}]}, "one container"),
    ],
)
def test_a_pod_that_cannot_start_fails_with_a_sentence(
    machine: Machine, change: dict[str, Any], words: str
) -> None:
    pod = machine.until(machine.run("p", "", **change), "Failed")
    assert terminated(pod)["reason"] == "StartError"
    assert words in terminated(pod)["message"]


def test_slots_bound_what_runs_at_a_time(machine: Machine, tmp_path: Path) -> None:
    code = f"""
        import os, time
        name = {str(tmp_path)!r} + "/on-" + str(os.getpid())
        open(name, "w").close()
        print(len([f for f in os.listdir({str(tmp_path)!r}) if f.startswith("on-")]))
        time.sleep(0.15)
        os.unlink(name)
        """
    pods = [machine.run(f"p-{i}", code) for i in range(5)]
    for pod in pods:
        machine.until(pod, "Succeeded")
    assert max(int(machine.log(pod)) for pod in pods) == 2


def test_a_waiting_pod_says_what_it_waits_for(machine: Machine) -> None:
    first = machine.run("a", "import time; time.sleep(100)", gpus=2)
    machine.until(first, "Running")
    second = machine.until(machine.run("b", ""), "Pending")
    assert second["status"]["conditions"][0]["message"].startswith(
        "0/1 nodes are available: 0 of 2"
    )
    machine.delete(first)
    machine.until(second, "Succeeded")


def test_a_pod_over_its_memory_limit_is_reported_as_a_kubelet_does(machine: Machine) -> None:
    limit = {"resources": {"limits": {"memory": "64Mi"}}}
    code = "x = b'1' * (128 << 20); import time; time.sleep(100)"
    large = machine.run("a", code, container=limit)
    small = machine.run("b", "import time; time.sleep(1)", container=limit)
    ended = machine.until(large, "Succeeded", "Failed")
    assert ended["status"]["phase"] == "Failed"
    assert terminated(ended)["exitCode"] == 137
    assert terminated(ended)["reason"] == "OOMKilled"
    assert machine.alive(large) == set()
    assert machine.until(small, "Succeeded", "Failed")["status"]["phase"] == "Succeeded"


class FullDisk:
    """Refuses to write some objects, until there is room again."""

    def __init__(self, patch: pytest.MonkeyPatch, refused: bytes) -> None:
        self.refused = refused
        self.hit, self.room = threading.Event(), threading.Event()
        patch.setattr(mirror, "write_atomic", self._write)
        patch.setattr(node, "_RETRY_SECONDS", 0.05)

    def _write(self, path: Path, data: bytes) -> None:
        if self.refused in data:
            self.check()
        write_atomic(path, data)

    def check(self) -> None:
        if not self.room.is_set():
            self.hit.set()
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def test_a_pod_that_cannot_be_called_running_waits_for_room(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = FullDisk(monkeypatch, b"phase: Running")
    pod = machine.store.create(pod_of("p", ["true"]))
    assert disk.hit.wait(10)
    assert "status" not in machine.get(pod)
    assert Mirror(machine.folder).read() == [pod]
    disk.room.set()
    assert machine.until(pod, "Succeeded", "Failed")["status"]["phase"] == "Succeeded"


def test_a_pod_whose_files_do_not_fit_waits_for_room(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk, make = FullDisk(monkeypatch, b"nothing"), PodFiles.make

    def no_space(files: PodFiles, pod: Object, volumes: dict[str, dict[str, str]]) -> None:
        disk.check()
        make(files, pod, volumes)

    monkeypatch.setattr(PodFiles, "make", no_space)
    pod = machine.store.create(pod_of("p", ["true"]))
    assert disk.hit.wait(10)
    assert "status" not in machine.get(pod)
    disk.room.set()
    assert machine.until(pod, "Succeeded", "Failed")["status"]["phase"] == "Succeeded"


def test_a_pod_that_could_not_be_started_is_told_so_though_the_disk_was_full(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    (machine.folder / "logs/default/p.log").mkdir(parents=True)
    disk = FullDisk(monkeypatch, b"StartError")
    pod = machine.store.create(pod_of("p", ["true"]))
    assert disk.hit.wait(10)
    assert machine.get(pod)["status"]["phase"] == "Running"
    disk.room.set()
    pod = machine.until(pod, "Failed")
    assert terminated(pod)["reason"] == "StartError"
    assert "p.log" in terminated(pod)["message"]


def test_an_end_that_cannot_be_recorded_now_is_recorded_later(
    machine: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    disk = FullDisk(monkeypatch, b"phase: Succeeded")
    pod = machine.until(machine.run("p", ""), "Running")
    assert disk.hit.wait(10)
    assert machine.get(pod) == pod
    assert Mirror(machine.folder).read() == [pod]
    disk.room.set()
    assert terminated(machine.until(pod, "Succeeded"))["exitCode"] == 0


BEATING = """
import os, signal, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
place, seconds = sys.argv[1], float(sys.argv[2])
if os.fork() == 0:
    os.setsid()
    seconds = 100
with open(f"{place}-{os.getpid()}", "w") as file:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        file.write(f"{time.monotonic()}\\n")
        file.flush()
        time.sleep(0.005)
"""


@pytest.mark.parametrize("seed", range(3))
def test_slots_are_never_exceeded_whatever_happens_to_pods(tmp_path: Path, seed: int) -> None:
    chance = random.Random(seed)
    machine = Machine(tmp_path / "work", slots=3)
    machine.start()
    beats = tmp_path / "beats"
    beats.mkdir()
    pods, gpus = [], {}
    for number in range(10):
        gpus[f"p{number}"] = chance.choice([1, 1, 2, 3, 5])
        seconds = str(chance.choice([0.05, 0.1, 0.3]))
        command = ["python", "-c", BEATING, str(beats / f"p{number}"), seconds]
        value = pod_of(f"p{number}", command, gpus[f"p{number}"], terminationGracePeriodSeconds=0.1)
        pods.append(machine.store.create(value))
    while left := [pod for pod in map(machine.look, pods) if pod and not _has_ended(pod)]:
        time.sleep(0.05)
        if len({path.name.split("-")[0] for path in beats.iterdir()}) < 4:
            continue  # on a busy machine few would live to tell
        pod = chance.choice(left)
        match chance.randrange(6):
            case 0:
                machine.delete(pod)
            case 1:
                with contextlib.suppress(ProcessLookupError):
                    for pid in sorted(machine.alive(pod))[:1]:
                        os.kill(pid, signal.SIGKILL)
    machine.stop()
    times = {
        name: [float(time) for path in beats.glob(f"{name}-*") for time in path.read_text().split()]
        for name in gpus
    }
    spans = {name: (min(found), max(found)) for name, found in times.items() if found}
    assert len(spans) > 3
    for start, _ in spans.values():
        at_once = [gpus[name] for name, (first, last) in spans.items() if first <= start <= last]
        assert sum(at_once) <= 3 or at_once == [5], (spans, gpus)


def _has_ended(pod: Object) -> bool:
    return pod.get("status", {}).get("phase") in ("Succeeded", "Failed")
