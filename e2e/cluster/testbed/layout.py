"""Where things lie and which addresses they have, inside the cluster's namespaces and outside."""

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[3]
"""The checkout."""

INSIDE = Path("/run/cupola")
"""The state folder as the cluster's processes see it."""

ETC = INSIDE / "etc"
TOOLS = Path("/run/bin")
"""The programs as the cluster's processes see them."""

NODE = "node"
NODE_IP = "10.88.0.1"
"""The node's address and the pods' gateway. No route leads from here to another machine."""

PODS = "10.88.0.0/16"
SERVICES = "10.96.0.0/16"
DOMAIN = "cluster.local"
NAMESPACE = "cupola-e2e"
"""The namespace of what the cluster itself offers: S3 and Prometheus."""

VOLUMES = 40
"""PersistentVolumes, each for one claim: a folder of the node."""

REGION = "us-east-1"
BUCKET = "cupola"

PORTS = {"api": 6443, "s3": 8333, "prometheus": 9090}
"""Ports of the node that the host reaches through a forwarder on 127.0.0.1."""


@dataclass(frozen=True)
class State:
    """The folder of one cluster. Everything that it leaves on disk lies below."""

    folder: Path

    @property
    def mark(self) -> Path:
        """An empty file that says: this folder is a cluster's and may be removed."""
        return self.folder / ".cupola-cluster"

    @property
    def kubeconfig(self) -> Path:
        """For the host: an administrator at 127.0.0.1."""
        return self.folder / "kubeconfig"

    @property
    def environment(self) -> Path:
        """`NAME=value` lines for the host: addresses, S3 credentials, KUBECONFIG."""
        return self.folder / "environment"

    @property
    def audit(self) -> Path:
        """One JSON event a line: every write that the API server answered."""
        return self.folder / "audit" / "audit.log"

    @property
    def logs(self) -> Path:
        """One file a component."""
        return self.folder / "log"

    @property
    def cgroup(self) -> str:
        """Name of the cgroup that holds the cluster's pods; another one for each state folder."""
        digest = hashlib.sha256(str(self.folder).encode()).hexdigest()[:8]
        return f"cupola-{digest}"


def default_state() -> Path:
    """~/.cache/cupola/cluster, unless CUPOLA_CLUSTER names another folder."""
    if named := os.environ.get("CUPOLA_CLUSTER"):
        return Path(named).resolve()
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return cache / "cupola" / "cluster"
