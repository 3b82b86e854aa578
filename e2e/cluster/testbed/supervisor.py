"""The first process of the cluster's namespaces: starts the components, keeps them running, reaps.

    unshare --mount --net --pid --fork ... python -m testbed.supervisor SETTINGS

When it ends, however it ends, the kernel ends everything else in its namespaces with it. Until the
starter wrote `detach` into the pipe, the end of the starter is its end too.
"""

import json
import os
import select
import signal
import socket
import sys
import time
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from testbed import discovery, forwarder, namespaces
from testbed.components import DISCOVERY, FORWARDER, Component, components
from testbed.layout import ETC, INSIDE, NODE_IP, PORTS
from testbed.probe import answers

AGAIN = 0.5
"""Seconds before a component that ended is started again."""

TICK = 0.1
CONTROL = "control.sock"


@dataclass
class Running:
    """A component and what became of it."""

    component: Component
    pid: int = 0
    ready: bool = False
    held: bool = False  # somebody stopped it
    starts: int = 0
    not_before: float = 0.0

    def public(self) -> dict[str, Any]:
        """What `ctl status` shows."""
        return {"pid": self.pid, "ready": self.ready, "starts": self.starts, "held": self.held}


class Supervisor:
    """One loop: reap, start, probe, obey."""

    def __init__(self, listeners: dict[str, int], leash: int, token: str) -> None:
        """`listeners`: sockets of the host by the name of the port; `leash`: pipe of the starter; `token`: the discovery's."""
        self._listeners = listeners
        self._leash = leash
        self._token = token
        self._all = {component.name: Running(component) for component in components()}
        self._control = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._control.bind(str(INSIDE / CONTROL))
        self._control.listen(64)
        self._control.setblocking(False)

    def run(self) -> None:
        """Until killed, or until the starter ends without a word."""
        while True:
            self._reap()
            for running in self._all.values():
                self._start(running)
                self._probe(running)
            watched = [self._control.fileno(), *([self._leash] if self._leash >= 0 else [])]
            for source in select.select(watched, [], [], TICK)[0]:
                if source != self._leash:
                    self._obey()
                elif os.read(self._leash, 16):
                    os.close(self._leash)
                    self._leash = -1
                else:
                    sys.exit("the starter ended before the cluster was up")

    def _reap(self) -> None:
        with suppress(ChildProcessError):
            while (ended := os.waitpid(-1, os.WNOHANG)[0]) != 0:
                for running in self._all.values():
                    if running.pid == ended:
                        running.pid, running.ready = 0, False
                        running.not_before = time.monotonic() + AGAIN

    def _start(self, running: Running) -> None:
        """Once started, a component comes back whatever became of those that it waited for."""
        others = [self._all[name] for name in running.component.after]
        waits = not running.starts and not all(other.ready for other in others)
        if running.pid or running.held or waits or time.monotonic() < running.not_before:
            return
        running.starts += 1
        running.pid = self._fork(running.component)

    def _fork(self, component: Component) -> int:
        pid = os.fork()
        if pid:
            return pid
        try:
            os.setsid()
            log = os.open(
                INSIDE / "log" / f"{component.name}.log", os.O_WRONLY | os.O_CREAT | os.O_APPEND
            )
            null = os.open(os.devnull, os.O_RDONLY)
            for descriptor, target in ((null, 0), (log, 1), (log, 2)):
                os.dup2(descriptor, target)
            if component.name == FORWARDER:
                doors = {self._listeners[name]: (NODE_IP, port) for name, port in PORTS.items()}
                forwarder.run(doors)
            elif component.name == DISCOVERY:
                discovery.run(self._token)
            else:
                os.closerange(3, 256)
                signal.signal(signal.SIGPIPE, signal.SIG_DFL)
                os.execve(component.argv[0], component.argv, ENVIRONMENT)
        except BaseException as error:  # noqa: BLE001 - a forked child must never return
            os.write(2, f"{component.name}: {error!r}\n".encode())
        os._exit(1)

    def _probe(self, running: Running) -> None:
        if running.pid and not running.ready:
            running.ready = answers(running.component.ready)

    def _obey(self) -> None:
        """One line of JSON in, one out, for all who wait; one that breaks off is no matter."""
        with suppress(BlockingIOError):
            while True:
                connection, _ = self._control.accept()
                with connection, suppress(OSError):
                    connection.settimeout(2)
                    if line := connection.makefile().readline():
                        answer = self._answer(json.loads(line))
                        connection.sendall(json.dumps(answer).encode() + b"\n")

    def _answer(self, request: dict[str, Any]) -> dict[str, Any]:
        name, verb = request.get("name", ""), request.get("do", "status")
        if verb != "status":
            if name not in self._all:
                return {"error": f"there is no {name}; there are: {', '.join(self._all)}"}
            running = self._all[name]
            running.held = verb == "stop"
            running.ready = running.ready and verb == "start"
            if verb in {"stop", "restart"} and running.pid:
                with suppress(ProcessLookupError):
                    os.kill(running.pid, int(request.get("signal", signal.SIGKILL)))
        return {name: running.public() for name, running in self._all.items()}


ENVIRONMENT = {
    "HOME": str(INSIDE),
    "PATH": "/run/bin:/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "TMPDIR": "/tmp",
}


def main() -> None:
    """Read the settings (one JSON object), prepare the namespaces, run."""
    settings = json.loads(sys.argv[1])
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    namespaces.prepare(Path(settings["state"]), settings["programs"])
    os.chdir("/")
    token = (ETC / "discovery.token").read_text()
    Supervisor(settings["listeners"], settings["leash"], token).run()


if __name__ == "__main__":
    main()
