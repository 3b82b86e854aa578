"""The host's side of the supervisor: ask it, enter its namespaces, end it."""

import json
import os
import select
import signal
import socket
import struct
import subprocess
import sys
import time
from typing import Any

from testbed.layout import State

PEER = struct.Struct("3i")  # pid, uid, gid


class NotRunning(Exception):
    """No supervisor answers in this state folder."""


def ask(state: State, **request: Any) -> dict[str, Any]:
    """One request (`do`, `name`, ...) and its answer; NotRunning without a supervisor."""
    with _connect(state) as client:
        client.sendall(json.dumps(request).encode() + b"\n")
        answer: dict[str, Any] = json.loads(client.makefile().readline())
    if "error" in answer:
        sys.exit(answer["error"])
    return answer


def supervisor(state: State) -> int:
    """Its process id as the host sees it. The kernel translates it: no file can be stale."""
    with _connect(state) as client:
        raw = client.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, PEER.size)
    pid: int = PEER.unpack(raw)[0]
    return pid


def running(state: State) -> bool:
    """Whether a supervisor answers."""
    try:
        supervisor(state)
    except NotRunning:
        return False
    return True


def enter(state: State, *command: str) -> list[str]:
    """The command line that runs `command` inside the cluster's namespaces."""
    target = str(supervisor(state))
    return ["nsenter", "--target", target, "--mount", "--net", "--pid", "--uts", "--", *command]


def inside(state: State, *command: str, text: str = "") -> str:
    """Run it there and return its output; RuntimeError with what it said when it fails."""
    ran = subprocess.run(
        enter(state, *command),
        input=text,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    if ran.returncode:
        raise RuntimeError(f"`{' '.join(command)}` failed: {ran.stderr.strip()}")
    return ran.stdout


def wait_ready(state: State, names: list[str] | None = None, timeout: float = 120.0) -> None:
    """Until these components (all when None) answer; RuntimeError names those that do not."""
    deadline = time.monotonic() + timeout
    while True:
        status = ask(state, do="status")
        waiting = [name for name in names or status if not status[name]["ready"]]
        if not waiting:
            return
        if time.monotonic() > deadline:
            ends = "\n".join(f"{name}: {_last_lines(state, name)}" for name in waiting)
            told = f"{', '.join(waiting)} did not get ready in {timeout:.0f} s\n{ends}"
            raise RuntimeError(told)
        time.sleep(TICK)


def _last_lines(state: State, name: str) -> str:
    try:
        lines = (state.logs / f"{name}.log").read_text(errors="replace").splitlines()
    except OSError:
        return "it has written no log"
    return "\n".join(lines[-LINES:])


def end(state: State, timeout: float = 60.0) -> None:
    """Kill the supervisor and wait until every process of its namespaces is gone."""
    try:
        pid = supervisor(state)
    except NotRunning:
        return
    handle = os.pidfd_open(pid)
    try:
        signal.pidfd_send_signal(handle, signal.SIGKILL)
        # The kernel ends a pid namespace before the end of its first process is told.
        if not select.select([handle], [], [], timeout)[0]:
            raise RuntimeError(f"process {pid} is still there {timeout:.0f} s after SIGKILL")
    finally:
        os.close(handle)


def _connect(state: State, timeout: float = 20.0) -> socket.socket:
    deadline = time.monotonic() + timeout
    while True:
        client = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        client.settimeout(timeout)
        try:
            folder = os.open(state.folder, os.O_PATH)
            try:  # a path of any length: a socket's may have 107 bytes
                client.connect(f"/proc/self/fd/{folder}/control.sock")
            finally:
                os.close(folder)
        except OSError as error:
            client.close()
            if isinstance(error, BlockingIOError) and time.monotonic() < deadline:
                time.sleep(TICK)  # its queue is full: it is there, and busy
                continue
            told = f"no cluster runs in {state.folder}; start one: make cluster-up"
            raise NotRunning(told) from error
        return client


TICK = 0.1
LINES = 8  # of a log, in an error
