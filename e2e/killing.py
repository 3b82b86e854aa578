"""An operator outside the cluster whose every request passes through here, to be killed at one."""

from __future__ import annotations

import base64
import http.client
import json
import os
import signal
import ssl
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import yaml

from .harness import kubectl, until

HOP = {"host", "connection", "transfer-encoding", "content-length"}
"""Headers between two neighbours only."""

Write = tuple[str, str]
"""Method and path."""


class Passage:
    """An HTTP server before the API server. `kill` decides about writes: "before", "after" or ""."""

    def __init__(self, kubeconfig: Path, kill: Callable[[Write], str]) -> None:
        cluster = yaml.safe_load(kubeconfig.read_text())["clusters"][0]["cluster"]
        authority = kubeconfig.with_name("authority.crt")
        authority.write_text(_authority(cluster))
        context = ssl.create_default_context(cafile=str(authority))
        address = cluster["server"].removeprefix("https://")
        passage = self
        self.process: subprocess.Popen[bytes] | None = None

        class Handler(BaseHTTPRequestHandler):
            def _any(self) -> None:
                length = int(self.headers.get("Content-Length") or 0)
                body = self.rfile.read(length) or None
                moment = "" if self.command == "GET" else kill((self.command, self.path))
                if moment == "before":
                    passage.strike()
                    return
                connection = http.client.HTTPSConnection(address, context=context, timeout=600)
                headers = {k: v for k, v in self.headers.items() if k.lower() not in HOP}
                try:
                    connection.request(self.command, self.path, body, headers)
                    answer = connection.getresponse()
                    if moment == "after":
                        answer.read()
                        passage.strike()
                        return
                    self.send_response(answer.status)
                    for name, value in answer.headers.items():
                        if name.lower() not in HOP:
                            self.send_header(name, value)
                    self.send_header("Connection", "close")
                    self.end_headers()
                    while data := answer.read1(1 << 16):  # a watch streams for minutes
                        self.wfile.write(data)
                        self.wfile.flush()
                except (OSError, http.client.HTTPException):
                    pass  # one of the two is gone
                finally:
                    self.close_connection = True
                    connection.close()

            do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _any  # noqa: N815

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, args=(0.1,), daemon=True).start()

    def strike(self) -> None:
        """SIGKILL."""
        if self.process:
            with suppress(ProcessLookupError):
                self.process.send_signal(signal.SIGKILL)

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


def _authority(cluster: dict[str, Any]) -> str:
    return base64.b64decode(cluster["certificate-authority-data"]).decode()


@contextmanager
def operator_outside(folder: Path, system: str, kill: Callable[[Write], str]) -> Iterator[Passage]:
    """The installed operator is away; one with its rights runs here, and again whenever it was killed."""
    settings = folder / "settings.yaml"
    maps = json.loads(kubectl("-n", system, "get", "configmap", "cupola-settings", "-o", "json"))
    settings.write_text(maps["data"]["settings.yaml"])
    token = kubectl("-n", system, "create", "token", "cupola-operator", "--duration=1h").strip()
    theirs = folder / "cluster.yaml"
    theirs.write_text(kubectl("config", "view", "--raw", "--minify", "--flatten"))
    passage = Passage(theirs, kill)
    mine = folder / "kubeconfig"
    mine.write_text(_kubeconfig(passage.url, token))
    deployment = "deployment/cupola-operator"
    kubectl("-n", system, "scale", deployment, "--replicas=0")
    until(
        "the installed operator is away",
        lambda: "cupola-operator" not in kubectl("-n", system, "get", "pods", "-o", "name"),
    )
    stop = threading.Event()

    def again_and_again() -> None:
        while not stop.is_set():
            with (folder / "operator.log").open("ab") as log:
                passage.process = subprocess.Popen(
                    [
                        *(sys.executable, "-m", "cupola_operator", "operate"),
                        *("--settings", str(settings), "--listen", "127.0.0.1:0"),
                    ],
                    env={
                        **os.environ,
                        "KUBECONFIG": str(mine),
                        "POD_NAMESPACE": system,
                        "POD_NAME": "outside",  # whoever comes after it holds its Lease
                    },
                    stdout=log,
                    stderr=log,
                )
                passage.process.wait()

    keeper = threading.Thread(target=again_and_again, daemon=True)
    keeper.start()
    try:
        yield passage
    finally:
        stop.set()
        if passage.process:
            passage.process.terminate()
        keeper.join(30)
        passage.close()
        kubectl("-n", system, "scale", deployment, "--replicas=1")
        kubectl("-n", system, "rollout", "status", deployment, "--timeout=120s", timeout=130)


def _kubeconfig(server: str, token: str) -> str:
    return json.dumps(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [{"name": "it", "cluster": {"server": server}}],
            "users": [{"name": "it", "user": {"token": token}}],
            "contexts": [{"name": "it", "context": {"cluster": "it", "user": "it"}}],
            "current-context": "it",
        }
    )
