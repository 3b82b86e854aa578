"""The processes of the cluster, as a table: what each runs, what it waits for, when it is ready."""

from dataclasses import dataclass
from pathlib import Path

from testbed.layout import ETC, INSIDE, NODE, NODE_IP, PORTS, SERVICES, TOOLS

FORWARDER = "forwarder"
DISCOVERY = "discovery"


@dataclass(frozen=True)
class Component:
    """One process that the supervisor keeps running.

    Without `argv` it is a part of the supervisor's own program, found by its name. It is started when all in `after` were ready once. `ready` is an address that answers: a URL
    that answers 200, or a path of a Unix socket; empty = ready when started.
    """

    name: str
    argv: tuple[str, ...]
    after: tuple[str, ...] = ()
    ready: str = ""


def components() -> list[Component]:
    """All of them."""
    return [
        Component(FORWARDER, ()),
        Component("etcd", _tool("etcd", *ETCD), ready="http://127.0.0.1:2379/health"),
        Component(
            "apiserver",
            _tool("kube-apiserver", *APISERVER),
            after=("etcd",),
            ready=f"https://{NODE_IP}:{PORTS['api']}/readyz",
        ),
        Component(
            "controller-manager",
            _tool("kube-controller-manager", *CONTROLLER_MANAGER),
            after=("apiserver",),
            ready="https://127.0.0.1:10257/healthz",
        ),
        Component(
            "scheduler",
            _tool("kube-scheduler", *SCHEDULER),
            after=("apiserver",),
            ready="https://127.0.0.1:10259/healthz",
        ),
        Component(
            "containerd",
            _tool("containerd", f"--config={ETC}/containerd.toml"),
            ready="/run/containerd/containerd.sock",
        ),
        Component(
            "kubelet",
            _tool("kubelet", *KUBELET),
            after=("apiserver", "containerd"),
            ready="http://127.0.0.1:10248/healthz",
        ),
        Component(
            "kube-proxy",
            _tool("kube-proxy", f"--config={ETC}/kube-proxy.yaml", f"--hostname-override={NODE}"),
            after=("apiserver", "kubelet"),
            ready=f"http://{NODE_IP}:10256/livez",
        ),
        Component(
            "coredns",
            _tool("coredns", f"-conf={ETC}/Corefile"),
            after=("apiserver",),
            ready=f"http://{NODE_IP}:8181/ready",
        ),
        Component("s3", _tool("weed", *WEED), ready=f"http://{NODE_IP}:{PORTS['s3']}/status"),
        Component(DISCOVERY, (), after=("apiserver",)),
        Component(
            "prometheus",
            _tool("prometheus", *PROMETHEUS),
            ready=f"http://{NODE_IP}:{PORTS['prometheus']}/-/ready",
        ),
    ]


def _tool(name: str, *arguments: str) -> tuple[str, ...]:
    return (str(TOOLS / name), *arguments)


ETCD = (
    f"--data-dir={INSIDE}/etcd",
    "--unsafe-no-fsync",
    "--listen-client-urls=http://127.0.0.1:2379",
    "--advertise-client-urls=http://127.0.0.1:2379",
    "--listen-peer-urls=http://127.0.0.1:2380",
    "--log-level=warn",
)
APISERVER = (
    "--etcd-servers=http://127.0.0.1:2379",
    f"--advertise-address={NODE_IP}",
    f"--secure-port={PORTS['api']}",
    f"--service-cluster-ip-range={SERVICES}",
    f"--tls-cert-file={ETC}/apiserver.crt",
    f"--tls-private-key-file={ETC}/apiserver.key",
    f"--token-auth-file={ETC}/tokens.csv",
    "--authorization-mode=Node,RBAC",
    "--enable-admission-plugins=NodeRestriction",
    "--allow-privileged",
    "--service-account-issuer=https://kubernetes.default.svc",
    f"--service-account-key-file={ETC}/service-account.pub",
    f"--service-account-signing-key-file={ETC}/service-account.key",
    f"--kubelet-certificate-authority={ETC}/ca.crt",
    f"--kubelet-client-certificate={ETC}/apiserver-client.crt",
    f"--kubelet-client-key={ETC}/apiserver-client.key",
    "--kubelet-preferred-address-types=InternalIP",  # the node's name is in no DNS
    f"--audit-policy-file={ETC}/audit.yaml",
    f"--audit-log-path={INSIDE}/audit/audit.log",
    "--audit-log-mode=blocking",  # what was answered is in the log, even when the server is killed
    "--audit-log-maxsize=2000",
    "--profiling=false",
)
CONTROLLER_MANAGER = (
    f"--kubeconfig={ETC}/controller-manager.kubeconfig",
    "--use-service-account-credentials",
    f"--service-account-private-key-file={ETC}/service-account.key",
    f"--root-ca-file={ETC}/ca.crt",
    "--leader-elect=false",
)
SCHEDULER = (f"--kubeconfig={ETC}/scheduler.kubeconfig", "--leader-elect=false")
KUBELET = (
    f"--config={ETC}/kubelet.yaml",
    f"--kubeconfig={ETC}/kubelet.kubeconfig",
    f"--hostname-override={NODE}",
    f"--node-ip={NODE_IP}",
)
WEED = (
    "server",
    f"-dir={INSIDE}/s3",
    f"-ip={NODE_IP}",
    "-master.volumeSizeLimitMB=1024",
    "-volume.max=0",
    "-volume.port=18080",
    "-master.telemetry=false",
    "-s3.port.iceberg=0",
    "-s3",
    f"-s3.port={PORTS['s3']}",
    f"-s3.config={ETC}/s3.json",
)
PROMETHEUS = (
    f"--config.file={ETC}/prometheus.yml",
    f"--storage.tsdb.path={INSIDE}/prometheus",
    f"--web.listen-address={NODE_IP}:{PORTS['prometheus']}",
    "--web.enable-lifecycle",
    "--log.level=warn",
)

PROGRAMS = sorted({Path(component.argv[0]).name for component in components() if component.argv})
"""Names of the programs that must lie in TOOLS."""
