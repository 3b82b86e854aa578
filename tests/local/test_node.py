"""A real node: pods as processes, seen through the store as a cluster would show them."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from cupola_operator.cluster import Key, Object, key_of
from cupola_operator.local.node import Node
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
        return self.store.create(_pod(name, ["python", "-c", textwrap.dedent(code)], **spec))

    def get(self, pod: Object) -> Object:
        value = self.store.get(key_of(pod))
        assert value
        return value

    def until(self, pod: Object, *phases: str) -> Object:
        until(lambda: self.get(pod).get("status", {}).get("phase") in phases)
        return self.get(pod)

    def log(self, pod: Object) -> str:
        path = self.folder / "logs/default" / f"{pod['metadata']['name']}.log"
        return path.read_text() if path.exists() else ""


@pytest.fixture
def machine(tmp_path: Path) -> Iterator[Machine]:
    one = Machine(tmp_path / "work")
    one.start()
    yield one
    one.stop()


def until(condition: Callable[[], object], seconds: float = 10.0) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "waited too long"
        time.sleep(0.01)


def _pod(name: str, command: list[str], gpus: int = 1, **spec: Any) -> Object:
    container = {"name": "main", "command": command, **spec.pop("container", {})}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": {"cupola.dev/gpus": str(gpus)}},
        "spec": {"containers": [container], "terminationGracePeriodSeconds": 5, **spec},
    }


def _terminated(pod: Object) -> dict[str, Any]:
    found: dict[str, Any] = pod["status"]["containerStatuses"][0]["state"]["terminated"]
    return found


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
    end = _terminated(ended)
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
    assert (_terminated(pod)["exitCode"], _terminated(pod)["reason"]) == (3, "Error")


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
    assert _terminated(pod)["reason"] == "StartError"
    assert words in _terminated(pod)["message"]


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
    machine.store.delete(key_of(first), first["metadata"]["uid"])
    machine.until(second, "Succeeded")


def test_a_deleted_pod_may_save_and_is_then_removed(machine: Machine, tmp_path: Path) -> None:
    pod = machine.run(
        "p",
        f"""
        import signal, sys, time
        def save(*_):
            open({str(tmp_path / "saved")!r}, "w").close()
            sys.exit(143)
        signal.signal(signal.SIGTERM, save)
        print("ready")
        time.sleep(100)
        """,
    )
    machine.until(pod, "Running")
    until(lambda: "ready" in machine.log(pod))
    ends: list[Object] = []
    machine.store.subscribe(lambda value, deleted: ends.append(value) if deleted else None)
    machine.store.delete(key_of(pod), pod["metadata"]["uid"])
    until(lambda: machine.store.get(key_of(pod)) is None)
    assert (tmp_path / "saved").exists()
    assert _terminated(ends[0])["exitCode"] == 143
    assert not list(machine.folder.glob("pods/default/*"))
    assert "ready" in machine.log(pod)


def test_a_pod_that_ignores_sigterm_is_killed_after_its_grace(machine: Machine) -> None:
    pod = machine.run(
        "p",
        """
        import signal, subprocess, time
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        subprocess.Popen(["sleep", "100"], start_new_session=True)
        print("ready")
        time.sleep(100)
        """,
        terminationGracePeriodSeconds=0.5,
    )
    machine.until(pod, "Running")
    until(lambda: "ready" in machine.log(pod))
    ends: list[Object] = []
    machine.store.subscribe(lambda value, deleted: ends.append(value) if deleted else None)
    start = time.monotonic()
    machine.store.delete(key_of(pod), pod["metadata"]["uid"])
    until(lambda: machine.store.get(key_of(pod)) is None)
    assert 0.5 <= time.monotonic() - start < 5
    assert _terminated(ends[0])["exitCode"] == 137
    assert marked(pod["metadata"]["uid"]) == set()


def test_a_pod_deleted_before_it_ran_never_runs(machine: Machine) -> None:
    first = machine.run("a", "import time; time.sleep(100)", gpus=2)
    machine.until(first, "Running")
    second = machine.run("b", "print('ran')")
    machine.until(second, "Pending")
    machine.store.delete(key_of(second), second["metadata"]["uid"])
    until(lambda: machine.store.get(key_of(second)) is None)
    assert not (machine.folder / "logs/default/b.log").exists()


def test_a_pod_whose_supervisor_is_killed_is_lost_and_nothing_of_it_lives(
    machine: Machine,
) -> None:
    pod = machine.run(
        "p",
        """
        import subprocess, time
        subprocess.Popen(["sleep", "100"], start_new_session=True)
        print("ready")
        time.sleep(100)
        """,
    )
    machine.until(pod, "Running")
    until(lambda: "ready" in machine.log(pod))
    shim = min(marked(pod["metadata"]["uid"]))
    os.kill(shim, signal.SIGKILL)
    ended = machine.until(pod, "Failed")
    assert ended["status"]["reason"] == "NodeLost"
    assert marked(pod["metadata"]["uid"]) == set()


def test_a_stopped_shell_lets_pods_save_and_reports_a_shutdown(tmp_path: Path) -> None:
    machine = Machine(tmp_path / "work")
    machine.start()
    pod = machine.run(
        "p",
        """
        import signal, sys, time
        signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
        print("ready")
        time.sleep(100)
        """,
    )
    machine.until(pod, "Running")
    until(lambda: "ready" in machine.log(pod))
    machine.queue.stop()
    machine.node.drain(threading.Event())
    ended = machine.get(pod)
    assert ended["status"]["phase"] == "Failed"
    assert ended["status"]["reason"] == "Terminated"
    assert _terminated(ended)["exitCode"] == 143
    conditions = {c["type"]: c["reason"] for c in ended["status"]["conditions"] if "reason" in c}
    assert conditions["DisruptionTarget"] == "TerminationByKubelet"


def test_a_second_interruption_does_not_wait_for_the_grace(tmp_path: Path) -> None:
    machine = Machine(tmp_path / "work")
    machine.start()
    pod = machine.run(
        "p",
        "import signal, time; signal.signal(15, signal.SIG_IGN); print('ready'); time.sleep(100)",
        terminationGracePeriodSeconds=100,
    )
    machine.until(pod, "Running")
    until(lambda: "ready" in machine.log(pod))
    machine.queue.stop()
    hurry = threading.Event()
    threading.Timer(0.3, hurry.set).start()
    start = time.monotonic()
    machine.node.drain(hurry)
    assert time.monotonic() - start < 5
    assert _terminated(machine.get(pod))["exitCode"] == 137
    assert marked(pod["metadata"]["uid"]) == set()


SHELL = """
import sys, time
from pathlib import Path
from cupola_operator.cluster import Key
from cupola_operator.local.node import Node
from cupola_operator.local.store import Store
folder = Path(sys.argv[1])
store = Store(folder)
node = Node(store, folder, size=4, wake=lambda: None)
for name, code in (("done", "print('done')"), ("alive", "import time; print('on'); time.sleep(100)")):
    store.create({
        "apiVersion": "v1", "kind": "Pod", "metadata": {"name": name},
        "spec": {"containers": [{"name": "main", "command": ["python", "-c", code]}]},
    })
waiting = {"name": "main", "command": ["python", "-c", "print('late')"]}
node.sync()
store.create({"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "late"},
    "spec": {"containers": [waiting]}})
print("started", flush=True)
time.sleep(100)
"""


def _killed_shell(folder: Path) -> dict[str, str]:
    """Runs a shell, kills it in the middle; the uids of its pods by name."""
    shell = subprocess.Popen(
        [sys.executable, "-c", SHELL, str(folder)], stdout=subprocess.PIPE, text=True
    )
    assert shell.stdout
    assert shell.stdout.readline() == "started\n"
    log = folder / "logs/default/alive.log"
    until(lambda: log.exists() and log.read_text() == "on\n")
    until(lambda: list(folder.glob("pods/default/done-*/exit.json")))
    shell.kill()
    shell.wait()
    shell.stdout.close()
    return {p["metadata"]["name"]: p["metadata"]["uid"] for p in Store(folder).find("Pod")}


def test_a_new_shell_settles_the_pods_of_a_killed_one(tmp_path: Path) -> None:
    uids = _killed_shell(tmp_path)
    machine = Machine(tmp_path)
    machine.node.adopt()
    assert not any(marked(uid) for uid in uids.values())
    pods = {pod["metadata"]["name"]: pod for pod in machine.store.find("Pod")}
    assert pods["done"]["status"]["phase"] == "Succeeded"
    alive = pods["alive"]["status"]
    assert (alive["phase"], alive["reason"]) == ("Failed", "NodeLost")
    assert _terminated(pods["alive"])["exitCode"] == 137
    assert "status" not in pods["late"], "a pod that never ran may still run"
    machine.start()
    machine.until(pods["late"], "Succeeded")
    machine.stop()


def test_a_new_shell_waits_for_pods_whose_shims_were_killed_too(tmp_path: Path) -> None:
    shell = subprocess.Popen(
        [sys.executable, "-c", SHELL, str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    assert shell.stdout
    assert shell.stdout.readline() == "started\n"
    log = tmp_path / "logs/default/alive.log"
    until(lambda: log.exists() and log.read_text() == "on\n")
    uid = Store(tmp_path).find("Pod")[0]["metadata"]["uid"]
    folder = next(tmp_path.glob("pods/default/alive-*"))
    # Stopped processes cannot end by themselves: the shim writes nothing, the program stays.
    processes = marked(uid)
    for pid in processes:
        os.kill(pid, signal.SIGSTOP)
    shell.kill()
    shell.wait()
    shell.stdout.close()
    machine = Machine(tmp_path)
    machine.node.adopt()
    assert marked(uid) == set()
    assert not (folder / "exit.json").exists()
    pod = next(p for p in machine.store.find("Pod") if p["metadata"]["name"] == "alive")
    assert pod["status"]["reason"] == "NodeLost"
    assert "not observed" in pod["status"]["message"]
    end = _terminated(pod)
    assert abs(log.stat().st_mtime - _unix(end["finishedAt"])) < 2


def _unix(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


def test_folders_of_pods_that_are_no_more_are_swept(tmp_path: Path) -> None:
    (tmp_path / "pods/default/old-12345678/volumes").mkdir(parents=True)
    Machine(tmp_path).node.adopt()
    assert not list(tmp_path.glob("pods/default/*"))
