"""Objects that every cluster gets: users' rights, S3, Prometheus, the training operator, Kueue.

The last two come from the manifests of their modules; what is changed there is changed here, by
value: images of our own, quick probes, no requests that a small machine cannot spare.
"""

from typing import Any

import yaml

from testbed.layout import INSIDE, NAMESPACE, NODE, NODE_IP, PORTS, REGION, VOLUMES

Object = dict[str, Any]

BUSYBOX = "localhost/busybox:1"
PAUSE = "localhost/pause:1"
STORAGE_CLASS = "standard"
IMAGES = {"training-operator": "localhost/training-operator:1", "manager": "localhost/kueue:1"}
"""Container name in the shipped Deployment -> our image of the same program."""

INIT = "training-operator-init"
INIT_TEMPLATE = """\
- name: init-pytorch
  image: {{.InitContainerImage}}
  imagePullPolicy: IfNotPresent
  command:
  - sh
  - -c
  - |
    trap 'exit 143' TERM
    for i in $(seq {{.MaxTries}}); do /bin/nslookup {{.MasterAddr}} && exit 0; sleep 1; done; exit 1
  securityContext:
    allowPrivilegeEscalation: false
    capabilities: {drop: [ALL]}
    runAsNonRoot: true
    seccompProfile: {type: RuntimeDefault}
"""
"""Workers wait for the master's name. The shipped one is refused in a namespace that is `restricted`,
and its shell takes a whole grace period to end."""

KUEUE_CONFIG = """\
apiVersion: config.kueue.x-k8s.io/v1beta2
kind: Configuration
health: {healthProbeBindAddress: ":8081"}
metrics: {bindAddress: ":8443"}
webhook: {port: 9443}
leaderElection: {leaderElect: false}
clientConnection: {qps: 50, burst: 100}
integrations: {frameworks: [batch/job, kubeflow.org/pytorchjob]}
"""
KUEUE_GROUPS = {"batch", "kubeflow.org", "kueue.x-k8s.io"}
"""API groups of which Kueue's webhooks hear: pods and Deployments can be made while it is away."""

KUEUE_HOOKED = {"jobs", "pytorchjobs"}


def base(s3: tuple[str, str]) -> list[Object]:
    """Namespace, rights of CoreDNS and of the discovery, S3 with its credentials, volumes."""
    names = {"pods", "services", "endpoints", "namespaces", "nodes"}
    slices = {"apiGroups": ["discovery.k8s.io"], "resources": ["endpointslices"]}
    look = {"verbs": ["get", "list", "watch"]}
    rules = [{"apiGroups": [""], "resources": sorted(names), **look}, {**slices, **look}]
    role = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cupola:look"}
    users = ["cupola:coredns", "cupola:discovery"]
    return [
        _object("v1", "Namespace", NAMESPACE),
        _object("rbac.authorization.k8s.io/v1", "ClusterRole", "cupola:look", rules=rules),
        _object(
            "rbac.authorization.k8s.io/v1",
            "ClusterRoleBinding",
            "cupola:look",
            roleRef=role,
            subjects=[
                {"apiGroup": "rbac.authorization.k8s.io", "kind": "User", "name": name}
                for name in users
            ],
        ),
        *map(_volume, range(VOLUMES)),
        *_outside("s3", PORTS["s3"]),
        *_outside("prometheus", PORTS["prometheus"]),
        credentials("s3-credentials", NAMESPACE, s3),
        _object(
            "storage.k8s.io/v1",
            "StorageClass",
            STORAGE_CLASS,
            annotations={"storageclass.kubernetes.io/is-default-class": "true"},
            provisioner="kubernetes.io/no-provisioner",
            volumeBindingMode="WaitForFirstConsumer",
        ),
    ]


def credentials(name: str, namespace: str, s3: tuple[str, str]) -> Object:
    """The Secret that a pod takes by `envFrom`."""
    key, secret = s3
    data = {"AWS_ACCESS_KEY_ID": key, "AWS_SECRET_ACCESS_KEY": secret, "AWS_REGION": REGION}
    return _object("v1", "Secret", name, namespace, stringData=data)


def training_operator(shipped: str) -> list[Object]:
    """The shipped objects (YAML of the standalone overlay), ready for this cluster."""
    made = [_for_us(item) for item in _load(shipped)]
    made.append(_object("v1", "ConfigMap", INIT, "kubeflow", data={"init.yaml": INIT_TEMPLATE}))
    for item in made:
        if item["kind"] == "Deployment":
            pod = item["spec"]["template"]["spec"]
            pod["volumes"].append({"name": "init", "configMap": {"name": INIT}})
            container = pod["containers"][0]
            container["volumeMounts"].append({"name": "init", "mountPath": "/etc/config"})
            container["args"] = [
                f"--pytorch-init-container-image={BUSYBOX}",
                "--pytorch-init-container-template-file=/etc/config/init.yaml",
            ]
    return made


def kueue(shipped: str) -> list[Object]:
    """The shipped objects (YAML of the default configuration), ready for this cluster."""
    made = []
    for item in map(_for_us, _load(shipped)):
        if item["kind"] == "APIService":  # an aggregated API that is away blocks namespaces
            continue
        if item["kind"].endswith("WebhookConfiguration"):
            item["webhooks"] = [hook for hook in item["webhooks"] if _hooked(hook)]
        if item["kind"] == "ConfigMap" and "controller_manager_config.yaml" in item["data"]:
            item["data"]["controller_manager_config.yaml"] = KUEUE_CONFIG
        if item["kind"] == "Deployment":
            container = item["spec"]["template"]["spec"]["containers"][0]
            container["args"].append("--feature-gates=VisibilityOnDemand=false")
            # Its metrics want a token: not for this Prometheus.
            item["spec"]["template"]["metadata"]["annotations"]["prometheus.io/scrape"] = "false"
        made.append(item)
    return made


def _hooked(webhook: Object) -> bool:
    """Kueue's own kinds, Jobs and PyTorchJobs."""
    rules = webhook["rules"]
    return all(set(rule["apiGroups"]) <= KUEUE_GROUPS for rule in rules) and all(
        "kueue.x-k8s.io" in rule["apiGroups"] or set(rule["resources"]) <= KUEUE_HOOKED
        for rule in rules
    )


def _for_us(item: Object) -> Object:
    """A Deployment runs our image at once; everything else stays as it was shipped."""
    if item["kind"] == "Deployment":
        item["spec"]["strategy"] = {"type": "Recreate"}
        for container in item["spec"]["template"]["spec"]["containers"]:
            container["image"] = IMAGES[container["name"]]
            container["imagePullPolicy"] = "IfNotPresent"
            container.pop("resources", None)
            container["readinessProbe"] |= {"initialDelaySeconds": 1, "periodSeconds": 1}
    return item


def _volume(number: int) -> Object:
    """A folder of the node, for whichever claim comes; a pod's fsGroup becomes its group."""
    node = {"key": "kubernetes.io/hostname", "operator": "In", "values": [NODE]}
    return _object(
        "v1",
        "PersistentVolume",
        f"volume-{number}",
        spec={
            "accessModes": ["ReadWriteOnce", "ReadWriteMany"],
            "capacity": {"storage": "100Gi"},
            "local": {"path": str(INSIDE / "volumes" / str(number))},
            "nodeAffinity": {"required": {"nodeSelectorTerms": [{"matchExpressions": [node]}]}},
            "persistentVolumeReclaimPolicy": "Retain",
            "storageClassName": STORAGE_CLASS,
        },
    )


def _outside(name: str, port: int) -> list[Object]:
    """A Service whose server is a process of the node."""
    ports = [{"name": "http", "port": port}]
    labels = {"kubernetes.io/service-name": name}
    return [
        _object("v1", "Service", name, NAMESPACE, spec={"ports": ports}),
        _object(
            "discovery.k8s.io/v1",
            "EndpointSlice",
            name,
            NAMESPACE,
            labels=labels,
            addressType="IPv4",
            ports=ports,
            endpoints=[{"addresses": [NODE_IP], "conditions": {"ready": True}}],
        ),
    ]


def _object(
    version: str,
    kind: str,
    name: str,
    namespace: str | None = None,
    *,
    labels: dict[str, str] | None = None,
    annotations: dict[str, str] | None = None,
    **rest: Any,
) -> Object:
    told = {"namespace": namespace, "labels": labels, "annotations": annotations}
    metadata = {"name": name, **{key: value for key, value in told.items() if value}}
    return {"apiVersion": version, "kind": kind, "metadata": metadata, **rest}


def _load(text: str) -> list[Object]:
    return [item for item in yaml.safe_load_all(text) if item]
