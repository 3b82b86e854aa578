"""Pods that are deleted, and pods of a shell that stops: they may save, and nothing is left."""

from __future__ import annotations

import os
import textwrap
import threading
import time
from pathlib import Path

import pytest

from cupola_operator.cluster import Object, key_of
from cupola_operator.local.store import Store

from .machine import Machine, pod_of, removals, terminated, until

STUBBORN = {
    "ignores": "print('ready'); time.sleep(100)",
    "children": """
        for _ in range(3):
            subprocess.Popen(["sh", "-c", "trap '' TERM; sleep {0} & wait; sleep {0}"])
        print("ready")
        time.sleep(100)
        """,
    "daemon": """
        if os.fork() == 0:
            os.setsid()
            if os.fork() == 0:
                subprocess.Popen(["sleep", "{0}"], env={{}}, start_new_session=True)
                print("ready")
                time.sleep(100)
            os._exit(0)
        time.sleep(100)
        """,
    "stopped": "print('ready'); os.kill(os.getpid(), signal.SIGSTOP)",
}


@pytest.mark.parametrize("code", STUBBORN.values(), ids=STUBBORN)
def test_nothing_outlives_the_grace_of_a_deleted_pod(machine: Machine, code: str) -> None:
    sign = f"273{os.getpid()}.5"
    head = "import os, signal, subprocess, time\nsignal.signal(signal.SIGTERM, signal.SIG_IGN)\n"
    program = head + textwrap.dedent(code.format(sign))
    pod = machine.run("p", program, terminationGracePeriodSeconds=0.2)
    until(lambda: "ready" in machine.log(pod))
    ends = removals(machine)
    machine.delete(pod)
    until(lambda: machine.look(pod) is None)
    assert terminated(ends[0])["exitCode"] == 137
    assert machine.alive(pod) == set()
    assert not [p for p in Path("/proc").glob("[0-9]*/cmdline") if sign in _text(p)]


def _text(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""


COUNTING = """
import os, signal, sys, time
asked = []
signal.signal(signal.SIGTERM, lambda *_: asked.append(1))
print("ready")
while not asked:
    time.sleep(0.01)
end = time.monotonic() + 0.5
while time.monotonic() < end:
    time.sleep(0.01)
open(os.environ["MESSAGE"], "w").write(f"asked {len(asked)} times")
sys.exit(143)
"""


MESSAGE = {"env": [{"name": "MESSAGE", "value": "/dev/termination-log"}]}


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
    machine.delete(pod)
    until(lambda: machine.store.get(key_of(pod)) is None)
    assert (tmp_path / "saved").exists()
    assert terminated(ends[0])["exitCode"] == 143
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
    machine.delete(pod)
    until(lambda: machine.store.get(key_of(pod)) is None)
    assert 0.5 <= time.monotonic() - start < 5
    assert terminated(ends[0])["exitCode"] == 137
    assert machine.alive(pod) == set()


def test_a_pod_deleted_twice_is_asked_once(machine: Machine) -> None:
    pod = machine.run("p", COUNTING, container=MESSAGE)
    until(lambda: "ready" in machine.log(pod))
    ends = removals(machine)
    machine.delete(pod)
    machine.delete(pod)
    until(lambda: machine.look(pod) is None)
    assert terminated(ends[0])["message"] == "asked 1 times"
    machine.delete(pod)
    assert len(ends) == 1


def test_a_pod_deleted_while_its_shell_stops_is_asked_once_and_removed_by_the_next(
    tmp_path: Path,
) -> None:
    machine = Machine(tmp_path / "work")
    machine.start()
    pod = machine.run("p", COUNTING, container=MESSAGE)
    until(lambda: "ready" in machine.log(pod))
    machine.delete(pod)
    machine.node.sync()
    machine.queue.stop()
    machine.node.drain(threading.Event())
    assert terminated(machine.get(pod))["message"] == "asked 1 times"
    following = Machine(tmp_path / "work")
    following.node.adopt()
    ends = removals(following)
    following.start()
    until(lambda: following.look(pod) is None)
    assert terminated(ends[0])["message"] == "asked 1 times"
    following.stop()


def test_the_end_of_a_deleted_pod_can_be_read_before_it_goes(tmp_path: Path) -> None:
    machine = Machine(tmp_path / "work", slots=1)
    machine.start()
    seen: list[tuple[str, str, float]] = []

    def watch(value: Object, deleted: bool) -> None:
        phase = "gone" if deleted else value.get("status", {}).get("phase", "")
        seen.append((value["metadata"]["name"], phase, time.monotonic()))

    machine.store.subscribe(watch)
    first = machine.run("a", COUNTING, container=MESSAGE)
    until(lambda: "ready" in machine.log(first))
    second = machine.run("b", "")
    machine.delete(first)
    machine.until(first, "Failed")
    assert terminated(machine.get(first))["message"] == "asked 1 times"
    until(lambda: machine.look(first) is None)
    machine.until(second, "Succeeded")
    machine.stop()
    order = [(name, phase) for name, phase, _ in seen]
    assert order.index(("b", "Running")) < order.index(("a", "gone")), "it held up nobody"
    times = {(name, phase): at for name, phase, at in seen}
    assert times["a", "gone"] - times["a", "Failed"] >= 0.9


def test_the_end_of_a_deleted_pod_can_be_read_though_its_shell_died(tmp_path: Path) -> None:
    store = Store(tmp_path)
    pod = store.create(pod_of("p", ["true"]))
    ended = {"phase": "Failed", "containerStatuses": []}
    store.patch_status(key_of(pod), ended, pod["metadata"]["resourceVersion"])
    store.delete(key_of(pod), pod["metadata"]["uid"])
    machine = Machine(tmp_path)
    machine.node.adopt()
    assert machine.get(pod)["status"] == ended
    assert machine.node.sync() is not None
    assert machine.get(pod)["status"] == ended
    until(lambda: machine.node.sync() is None)
    assert machine.look(pod) is None


def test_a_pod_deleted_before_it_ran_never_runs(machine: Machine) -> None:
    first = machine.run("a", "import time; time.sleep(100)", gpus=2)
    machine.until(first, "Running")
    second = machine.run("b", "print('ran')")
    machine.until(second, "Pending")
    machine.store.delete(key_of(second), second["metadata"]["uid"])
    until(lambda: machine.store.get(key_of(second)) is None)
    assert not (machine.folder / "logs/default/b.log").exists()


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
    assert terminated(ended)["exitCode"] == 143
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
    assert terminated(machine.get(pod))["exitCode"] == 137
    assert machine.alive(pod) == set()
