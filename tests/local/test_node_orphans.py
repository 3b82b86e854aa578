"""Pods whose shell or supervisor died: settled before anything starts, and nothing foreign is hit."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
from datetime import datetime
from pathlib import Path

from cupola_operator.local.mirror import Mirror
from cupola_operator.local.podfiles import PodFiles
from cupola_operator.local.processes import marked
from cupola_operator.local.store import Store

from .machine import Machine, condition, terminated, until


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
    shim = min(machine.alive(pod))
    os.kill(shim, signal.SIGKILL)
    ended = machine.until(pod, "Failed")
    assert ended["status"]["reason"] == "NodeLost"
    assert machine.alive(pod) == set()


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
    assert len(uids) == 3
    assert not any(machine.alive(pod) for pod in machine.store.find("Pod"))
    pods = {pod["metadata"]["name"]: pod for pod in machine.store.find("Pod")}
    assert pods["done"]["status"]["phase"] == "Succeeded"
    alive = pods["alive"]["status"]
    assert (alive["phase"], alive["reason"]) == ("Failed", "NodeLost")
    assert terminated(pods["alive"])["exitCode"] == 137
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
    mark = PodFiles(tmp_path).mark(Store(tmp_path).find("Pod")[0])
    folder = next(tmp_path.glob("pods/default/alive-*"))
    # Stopped processes cannot end by themselves: the shim writes nothing, the program stays.
    processes = marked(mark)
    assert len(processes) == 2
    for pid in processes:
        os.kill(pid, signal.SIGSTOP)
    shell.kill()
    shell.wait()
    shell.stdout.close()
    machine = Machine(tmp_path)
    machine.node.adopt()
    assert marked(mark) == set()
    assert not (folder / "exit.json").exists()
    pod = next(p for p in machine.store.find("Pod") if p["metadata"]["name"] == "alive")
    assert pod["status"]["reason"] == "NodeLost"
    assert "not observed" in pod["status"]["message"]
    assert condition(pod, "DisruptionTarget")["status"] == "True"
    end = terminated(pod)
    assert end["reason"] == "ContainerStatusUnknown"
    assert abs(log.stat().st_mtime - _unix(end["finishedAt"])) < 2


def _unix(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


def test_a_new_shell_ends_what_outlived_shell_and_supervisor_before_anything_starts(
    tmp_path: Path,
) -> None:
    code = "import os, time; os.fork() or os.setsid(); print('on', flush=True); time.sleep(100)"
    script = SHELL.replace("import time; print('on'); time.sleep(100)", code)
    shell = subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    assert shell.stdout
    assert shell.stdout.readline() == "started\n"
    log = tmp_path / "logs/default/alive.log"
    until(lambda: log.exists() and log.read_text() == "on\non\n")
    pod = next(p for p in Mirror(tmp_path).read() if p["metadata"]["name"] == "alive")
    mark = PodFiles(tmp_path).mark(pod)
    os.kill(shell.pid, signal.SIGSTOP)
    os.kill(min(marked(mark)), signal.SIGKILL)
    shell.kill()
    shell.wait()
    shell.stdout.close()
    until(lambda: len(marked(mark)) == 1)
    machine = Machine(tmp_path)
    machine.node.adopt()
    assert marked(mark) == set()
    assert machine.get(pod)["status"]["reason"] == "NodeLost"


def test_a_copy_of_a_work_directory_leaves_the_pods_of_the_other_alone(machine: Machine) -> None:
    pod = machine.run("p", "import time; print('ready'); time.sleep(100)")
    until(lambda: "ready" in machine.log(pod))
    other = machine.folder.with_name("copy")
    shutil.copytree(machine.folder, other)
    copied = Machine(other)
    copied.node.adopt()
    assert copied.get(pod)["status"]["reason"] == "NodeLost"
    assert len(machine.alive(pod)) == 2
    assert machine.get(pod)["status"]["phase"] == "Running"
    assert PodFiles(machine.folder).scratch(pod).exists()


def test_folders_of_pods_that_are_no_more_are_swept(tmp_path: Path) -> None:
    (tmp_path / "pods/default/old-12345678/volumes").mkdir(parents=True)
    Machine(tmp_path).node.adopt()
    assert not list(tmp_path.glob("pods/default/*"))
