"""The files that the cluster's programs read, as functions of values."""

import base64
import json
from typing import Any

import yaml

from testbed.discovery import TARGETS
from testbed.layout import DOMAIN, ETC, NODE_IP, PODS, PORTS

SNAPSHOTTER = "snapshotter"
"""The file that names containerd's, for those who load images."""

USERS = {
    "admin": ("admin", "system:masters"),
    "controller-manager": ("system:kube-controller-manager", ""),
    "coredns": ("cupola:coredns", ""),
    "kube-proxy": ("system:kube-proxy", ""),
    "kubelet": ("system:node:node", "system:nodes"),
    "discovery": ("cupola:discovery", ""),
    "scheduler": ("system:kube-scheduler", ""),
}
"""Who talks to the API server: user and group, by the name of the kubeconfig."""


def files(
    tokens: dict[str, str], authority: str, cgroup: str, s3: tuple[str, str], snapshotter: str
) -> dict[str, str]:
    """Every configuration by its name below etc/.

    `tokens` has one for each of USERS, `authority` is the CA's certificate (PEM), `s3` is the key
    and the secret of the S3 identity, `snapshotter` is containerd's.
    """
    made = {
        "audit.yaml": _yaml(audit_policy()),
        "cni/10-pods.conflist": json.dumps(network()),
        "containerd.toml": containerd(snapshotter),
        "discovery.token": tokens["discovery"],
        "Corefile": COREFILE,
        "kube-proxy.yaml": _yaml(kube_proxy()),
        "kubelet.yaml": _yaml(kubelet(cgroup)),
        "prometheus.yml": _yaml(prometheus()),
        SNAPSHOTTER: snapshotter,
        "s3.json": json.dumps(s3_identities(*s3)),
        "tokens.csv": token_file(tokens),
    }
    server = f"https://{NODE_IP}:{PORTS['api']}"
    for name, token in tokens.items():
        made[f"{name}.kubeconfig"] = _yaml(kubeconfig(server, authority, token))
    return made


def kubeconfig(server: str, authority: str, token: str) -> dict[str, Any]:
    """One user at one server. `authority` is PEM."""
    data = base64.b64encode(authority.encode()).decode()
    cluster = {"server": server, "certificate-authority-data": data}
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "cupola", "cluster": cluster}],
        "users": [{"name": "cupola", "user": {"token": token}}],
        "contexts": [{"name": "cupola", "context": {"cluster": "cupola", "user": "cupola"}}],
        "current-context": "cupola",
    }


def token_file(tokens: dict[str, str]) -> str:
    """The API server's list of users: token, name, uid, groups."""
    rows = [(tokens[name], *USERS[name]) for name in USERS]
    return "".join(f'{token},{user},{user},"{groups}"\n' for token, user, groups in rows)


def audit_policy() -> dict[str, Any]:
    """Who wrote what and what was answered, without bodies; the nodes' heartbeats are left out."""
    heartbeat = {
        "level": "None",
        "resources": [{"group": "coordination.k8s.io", "resources": ["leases"]}],
        "namespaces": ["kube-node-lease"],
    }
    writes = ["create", "update", "patch", "delete", "deletecollection"]
    return {
        "apiVersion": "audit.k8s.io/v1",
        "kind": "Policy",
        "omitStages": ["RequestReceived"],
        "omitManagedFields": True,
        "rules": [heartbeat, {"level": "Metadata", "verbs": writes}, {"level": "None"}],
    }


def network() -> dict[str, Any]:
    """A veth pair for each pod, routed: no bridge, so that every packet meets the node's rules."""
    ipam = {
        "type": "host-local",
        "dataDir": "/var/lib/cni/networks",
        "ranges": [[{"subnet": PODS, "gateway": NODE_IP}]],
        "routes": [{"dst": "0.0.0.0/0"}],
    }
    plugin = {"type": "ptp", "ipam": ipam}
    return {"cniVersion": "1.0.0", "name": "pods", "plugins": [plugin]}


def kubelet(cgroup: str) -> dict[str, Any]:
    """The node agent. It watches the cluster's own cgroup and never evicts for a full disk."""
    return {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "address": NODE_IP,
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": False},
            "x509": {"clientCAFile": f"{ETC}/ca.crt"},
        },
        "authorization": {"mode": "AlwaysAllow"},  # whoever holds the API server's certificate
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": f"/{cgroup}",
        "clusterDNS": [NODE_IP],
        "clusterDomain": DOMAIN,
        "containerRuntimeEndpoint": "unix:///run/containerd/containerd.sock",
        "evictionHard": {"memory.available": "100Mi", "nodefs.available": "0%"},
        "failCgroupV1": False,
        "failSwapOn": False,
        "imageGCHighThresholdPercent": 100,
        "makeIPTablesUtilChains": False,
        "maxPods": 200,
        "resolvConf": "",
        "serializeImagePulls": False,
        "tlsCertFile": f"{ETC}/kubelet.crt",
        "tlsPrivateKeyFile": f"{ETC}/kubelet.key",
        "syncFrequency": "5s",  # a Secret that is filled late reaches its pod soon
    }


def kube_proxy() -> dict[str, Any]:
    """Services by nftables. Zeros keep it from writing limits of the whole machine."""
    limits = {"maxPerCore": 0, "min": 0, "tcpEstablishedTimeout": "0s", "tcpCloseWaitTimeout": "0s"}
    return {
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "clientConnection": {"kubeconfig": f"{ETC}/kube-proxy.kubeconfig"},
        "clusterCIDR": PODS,
        "conntrack": limits,
        "healthzBindAddress": f"{NODE_IP}:10256",
        "metricsBindAddress": "127.0.0.1:10249",
        "mode": "nftables",
        "nodePortAddresses": ["primary"],
    }


def s3_identities(key: str, secret: str) -> dict[str, Any]:
    """One administrator of the S3 gateway."""
    credentials = [{"accessKey": key, "secretKey": secret}]
    actions = ["Admin", "Read", "Write", "List", "Tagging"]
    return {"identities": [{"name": "cupola", "credentials": credentials, "actions": actions}]}


def prometheus() -> dict[str, Any]:
    """Scrapes what the discovery found, every two seconds."""
    found = {
        "job_name": "cluster",
        "honor_labels": True,  # the operator's series name the namespace of their resource
        "file_sd_configs": [{"files": [str(TARGETS)]}],
    }
    often = {"scrape_interval": "2s", "scrape_timeout": "2s", "evaluation_interval": "2s"}
    return {"global": often, "scrape_configs": [found]}


def containerd(snapshotter: str) -> str:
    """Containers with our own pause image. `native` copies files where overlays cannot nest."""
    return f"""\
version = 2
root = "/var/lib/containerd"
state = "/run/containerd"
oom_score = 0

[grpc]
  address = "/run/containerd/containerd.sock"

[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "localhost/pause:1"
  restrict_oom_score_adj = true
  disable_apparmor = true
  max_container_log_line_size = 262144

[plugins."io.containerd.grpc.v1.cri".containerd]
  snapshotter = "{snapshotter}"

[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
  runtime_type = "io.containerd.runc.v2"

[plugins."io.containerd.grpc.v1.cri".cni]
  bin_dir = "/usr/lib/cni"
  conf_dir = "{ETC}/cni"
"""


def _yaml(value: dict[str, Any]) -> str:
    return yaml.safe_dump(value, sort_keys=False)


COREFILE = f"""\
{DOMAIN}:53 in-addr.arpa:53 {{
    bind {NODE_IP}
    errors
    ready {NODE_IP}:8181
    kubernetes {DOMAIN} in-addr.arpa {{
        kubeconfig {ETC}/coredns.kubeconfig
        pods insecure
        ttl 1
    }}
}}
.:53 {{
    bind {NODE_IP}
    template ANY ANY {{
        rcode NXDOMAIN
    }}
}}
"""
"""Names of the cluster; any other name does not exist, which is said at once."""

CUT = f"""\
table inet cupola {{
    set cut {{ type ipv4_addr; }}
    set storage {{ type ipv4_addr; }}
    chain forward {{
        type filter hook forward priority -10;
        ip saddr @cut drop
        ip daddr @cut drop
    }}
    chain input {{
        type filter hook input priority -10;
        ip saddr @storage tcp dport {{ 53, {PORTS["s3"]} }} accept
        ip saddr @storage udp dport 53 accept
        ip saddr @cut drop
    }}
    chain output {{
        type filter hook output priority -10;
        ip daddr @storage tcp sport {{ 53, {PORTS["s3"]} }} accept
        ip daddr @storage udp sport 53 accept
        ip daddr @cut drop
    }}
}}
"""
"""Rules of nftables: pods in the set `cut` reach nobody; those in `storage` too still reach S3 and DNS."""
