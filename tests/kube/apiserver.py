"""A real kube-apiserver with its etcd, on loopback, for as long as tests need one."""

from __future__ import annotations

import http
import json
import os
import socket
import ssl
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
ADMIN, OPERATOR, NOBODY = "admin-token", "operator-token", "nobody-token"

_READY_SECONDS = 60
_AUDIT = """
apiVersion: audit.k8s.io/v1
kind: Policy
omitStages: [RequestReceived]
rules: [{level: Metadata}]
"""


def binaries() -> Path | None:
    """The folder with etcd and kube-apiserver: $KUBEBUILDER_ASSETS, else the test cluster's cache."""
    folders = [Path(os.environ["KUBEBUILDER_ASSETS"])] if "KUBEBUILDER_ASSETS" in os.environ else []
    folders += _cached()
    for folder in folders:
        if all((folder / name).is_file() for name in ("etcd", "kube-apiserver")):
            return folder
    return None


def _cached() -> list[Path]:
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "cupola"
    return sorted(cache.glob("bin-*"), key=lambda folder: folder.stat().st_mtime, reverse=True)


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


class ApiServer:
    """A running API server. RBAC is on: ADMIN may do everything, the others what they are bound to."""

    def __init__(self, folder: Path, port: int) -> None:
        self.folder = folder
        self.port = port
        self.url = f"https://127.0.0.1:{port}"
        self.audit = folder / "audit.log"
        self.ca = folder / "certs" / "apiserver.crt"
        self._command: list[str] = []
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, *command: str) -> None:
        """Start kube-apiserver, the first time with its command, and wait until it is ready."""
        self._command = list(command) or self._command
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(self._command, stdout=log, stderr=log)
        _await(self, self.folder)

    def kill(self) -> None:
        """End it without a warning; what it knows is in etcd."""
        if self._process:
            self._process.kill()
            self._process.wait(10)

    def kubeconfig(self, token: str, url: str | None = None) -> Path:
        """A kubeconfig file of the user with that token."""
        path = self.folder / f"{token}-{(url or self.url).rsplit(':', 1)[1]}.kubeconfig"
        document = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "test",
            "clusters": [
                {
                    "name": "test",
                    "cluster": {"server": url or self.url, "certificate-authority": str(self.ca)},
                }
            ],
            "users": [{"name": "test", "user": {"token": token}}],
            "contexts": [{"name": "test", "context": {"cluster": "test", "user": "test"}}],
        }
        path.write_text(json.dumps(document))
        return path

    def call(self, method: str, path: str, body: Any = None, token: str = ADMIN) -> Any:
        """A request; the JSON answer. Raises urllib.error.HTTPError.

        429 is waited for: so the API server answers for a moment after a CRD was made.
        """
        kind = "application/merge-patch+json" if method == "PATCH" else "application/json"
        request = urllib.request.Request(
            self.url + path,
            method=method,
            data=None if body is None else json.dumps(body).encode(),
            headers={"Authorization": f"Bearer {token}", "Content-Type": kind},
        )
        context = ssl.create_default_context(cafile=str(self.ca))
        for left in range(20, -1, -1):
            try:
                with urllib.request.urlopen(request, timeout=20, context=context) as answer:
                    data = answer.read()
                break
            except urllib.error.HTTPError as error:
                if error.code != http.HTTPStatus.TOO_MANY_REQUESTS or not left:
                    raise
                time.sleep(0.2)
        return json.loads(data) if data.startswith(b"{") else data.decode()

    def kubectl(self, *arguments: str, token: str = ADMIN, stdin: str | None = None) -> str:
        """What kubectl prints. Raises subprocess.CalledProcessError."""
        program = Path(sys.executable).with_name("kubectl")
        done = subprocess.run(
            [str(program), "--kubeconfig", str(self.kubeconfig(token)), *arguments],
            input=stdin,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
            env={**os.environ, "HOME": str(self.folder)},
        )
        if done.returncode:
            raise AssertionError(f"kubectl {arguments}: {done.stderr}")
        return done.stdout

    def requests(self) -> list[dict[str, Any]]:
        """Every request so far, as the audit log has them."""
        lines = self.audit.read_text().splitlines() if self.audit.exists() else []
        found = []
        for line in lines:
            with suppress(ValueError):  # the last line may be under way
                found.append(json.loads(line))
        return found


@contextmanager
def running(programs: Path) -> Iterator[ApiServer]:
    """An API server that is ready; gone with its etcd and its files afterwards."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="cupola-kube-")))
        client, peer, secure = free_port(), free_port(), free_port()
        log = stack.enter_context((folder / "log").open("wb"))

        def start(*command: str) -> None:
            process = subprocess.Popen(command, stdout=log, stderr=log)
            stack.callback(_end, process)

        start(
            str(programs / "etcd"),
            f"--data-dir={folder / 'etcd'}",
            f"--listen-client-urls=http://127.0.0.1:{client}",
            f"--advertise-client-urls=http://127.0.0.1:{client}",
            f"--listen-peer-urls=http://127.0.0.1:{peer}",
            f"--initial-advertise-peer-urls=http://127.0.0.1:{peer}",
            f"--initial-cluster=default=http://127.0.0.1:{peer}",
            "--unsafe-no-fsync",
            "--log-level=error",
        )
        key = folder / "account.key"
        subprocess.run(
            ["openssl", "genrsa", "-out", str(key), "2048"],
            check=True, capture_output=True, timeout=60,
        )  # fmt: skip
        (folder / "tokens.csv").write_text(
            f'{ADMIN},admin,admin,"system:masters"\n'
            f"{OPERATOR},operator,operator\n"
            f"{NOBODY},nobody,nobody\n"
        )
        (folder / "audit.yaml").write_text(_AUDIT)
        server = ApiServer(folder, secure)
        stack.callback(server.kill)
        server.start(
            str(programs / "kube-apiserver"),
            f"--etcd-servers=http://127.0.0.1:{client}",
            "--bind-address=127.0.0.1",
            f"--secure-port={secure}",
            f"--cert-dir={folder / 'certs'}",
            f"--token-auth-file={folder / 'tokens.csv'}",
            "--authorization-mode=RBAC",
            "--disable-admission-plugins=ServiceAccount",
            f"--service-account-key-file={key}",
            f"--service-account-signing-key-file={key}",
            "--service-account-issuer=https://kubernetes.default.svc",
            "--service-cluster-ip-range=10.99.0.0/24",
            "--endpoint-reconciler-type=none",
            f"--audit-policy-file={folder / 'audit.yaml'}",
            f"--audit-log-path={server.audit}",
        )
        yield server


def _await(server: ApiServer, folder: Path) -> None:
    deadline = time.monotonic() + _READY_SECONDS
    while True:
        try:
            server.call("GET", "/readyz")
            server.call("GET", "/api/v1/namespaces/default")
        except (OSError, ssl.SSLError, urllib.error.URLError) as error:
            if time.monotonic() > deadline:
                tail = (folder / "log").read_text(errors="replace")[-2000:]
                raise AssertionError(f"no API server: {error}\n{tail}") from error
            time.sleep(0.1)
        else:
            return


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(timeout=10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait(timeout=10)
