"""What a person may add to the pods of a run: an allow-list, so that no run takes what is not its own.

Nothing here changes what is computed, so nothing of it is part of a run's digest. Commands, init
containers and the security context are the operator's; devices, nodes and priority are the pool's.
"""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import Field

from cupola_api.base import Model, Rule, Ruled
from cupola_api.common import Name
from cupola_api.quantities import Memory

_DOMAIN = r"[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*"

KEY = f"^({_DOMAIN}/)?[A-Za-z0-9]([A-Za-z0-9_.-]{{0,61}}[A-Za-z0-9])?$"
"""Pattern, as CEL writes it, of a key of a label or annotation, with or without a domain."""

RESERVED_KEYS = (
    r"^([a-z0-9.-]*[.-])?(cupola\\.dev|kubernetes\\.io|k8s\\.io|kubeflow\\.org|cncf\\.io)/|"
    "^(job-name|controller-uid)$"
)
"""Pattern, as CEL writes it, of keys that mean something to what runs the pods."""

RESERVED_VARIABLES = (
    "^(RANK|LOCAL_RANK|GROUP_RANK|ROLE_RANK|NODE_RANK|WORLD_SIZE|LOCAL_WORLD_SIZE|MASTER_ADDR|"
    "MASTER_PORT|POD_IP|TERMINATION_LOG|TMPDIR|HOME|PATH|JOB_COMPLETION_INDEX|OMP_NUM_THREADS)$|"
    "^(PET_|AWS_|PYTHON|LD_|CUPOLA_|TORCHELASTIC_|TORCH_ELASTIC_|KUBERNETES_|NVIDIA_|CUDA_VISIBLE_)"
)
"""Pattern of variables that Cupola, the training operator, the node or the loader of programs reads."""

TELLTALE_VARIABLES = (
    "(?i)(^|_)(TOKEN|SECRET|PASSWORD|PASSWD|CREDENTIALS?|API_?KEY|ACCESS_?KEY|PRIVATE_?KEY)(_|$)"
)
"""Pattern of variables whose name says that the value is a secret."""

LabelValue = Annotated[
    str, Field(pattern=r"^([A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?)?$", max_length=63)
]
"""The value of a label."""

AnnotationValue = Annotated[str, Field(max_length=1024)]
"""The value of an annotation."""

ObjectName = Annotated[
    str,
    Field(pattern=r"^[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?$", max_length=253),
]
"""The name of an object of Kubernetes: a DNS subdomain."""

QueueName = Annotated[str, Field(pattern=r"^[a-z0-9]([-a-z0-9]*[a-z0-9])?$", max_length=63)]
"""The name of a LocalQueue of Kueue."""


class Variable(Ruled):
    """An environment variable."""

    rules: ClassVar = (
        Rule(
            f"!self.name.matches('{RESERVED_VARIABLES}')",
            "env: Cupola, the training operator or the loader of programs reads this variable (RANK, "
            "PET_*, AWS_*, PYTHON*, LD_* and others); choose another name, or leave it out",
        ),
        Rule(
            f"!self.name.matches('{TELLTALE_VARIABLES}')",
            "env: the name says that the value is a secret, which everyone who may read the resource "
            "would see; put it into a Secret and name that in envFromSecrets",
        ),
    )

    name: str = Field(
        pattern=r"^[A-Za-z_][A-Za-z0-9_]{0,127}$", max_length=128, description="Its name."
    )
    value: str = Field(max_length=1024, description="Its value, which is no secret.")


class ClaimVolume(Model):
    """A PersistentVolumeClaim of the resource's namespace."""

    claim_name: ObjectName = Field(description="Its name.")
    read_only: bool = Field(False, description="Whether pods may only read it.")


class EmptyVolume(Model):
    """An empty folder on the node's disk, which goes with the pod."""

    size_limit: Memory | None = Field(
        None, description="What it may hold; a pod that writes more is evicted. Absent = no limit."
    )


class ConfigMapVolume(Model):
    """The files of a ConfigMap of the resource's namespace, read-only."""

    name: ObjectName = Field(description="Its name.")


class Volume(Ruled):
    """A folder that pods see at /mnt/<name>; besides its name exactly one field is set."""

    rules: ClassVar = (
        Rule(
            "[has(self.persistentVolumeClaim), has(self.emptyDir), has(self.configMap)]"
            ".filter(x, x).size() == 1",
            "say what the volume is once: write one of persistentVolumeClaim, emptyDir or configMap",
        ),
        Rule(
            "self.name != 'cupola'",
            "a volume cannot be named cupola: /mnt/cupola holds the store; choose another name",
        ),
    )

    name: Name = Field(description="Its name; pods see it at /mnt/<name>.")
    persistent_volume_claim: ClaimVolume | None = Field(
        None, description="A PersistentVolumeClaim of the namespace."
    )
    empty_dir: EmptyVolume | None = Field(None, description="An empty folder.")
    config_map: ConfigMapVolume | None = Field(None, description="The files of a ConfigMap.")


class PodTemplate(Ruled):
    """What is added to the pods of a run."""

    rules: ClassVar = (
        *(
            rule
            for field in ("labels", "annotations")
            for rule in (
                Rule(
                    f"self.{field}.all(k, k.size() <= 253 && k.matches('{KEY}'))",
                    f"podTemplate.{field}: a key is a name of at most 63 letters, digits, '-', '_' "
                    "and '.', with an optional domain and '/' before it, such as example.com/team",
                ),
                Rule(
                    f"self.{field}.all(k, !k.matches('{RESERVED_KEYS}'))",
                    f"podTemplate.{field}: keys of cupola.dev, kubernetes.io, k8s.io, kubeflow.org "
                    "and cncf.io mean something to what runs the pods; use a domain of your own",
                ),
            )
        ),
        Rule(
            "self.env.all(e, self.env.exists_one(f, f.name == e.name))",
            "podTemplate.env must have different names",
        ),
        Rule(
            "self.volumes.all(v, self.volumes.exists_one(w, w.name == v.name))",
            "podTemplate.volumes must have different names",
        ),
    )

    labels: Annotated[dict[str, LabelValue], Field(max_length=16)] = Field(
        default_factory=dict, description="Labels of the pods, such as a team or a cost centre."
    )
    annotations: Annotated[dict[str, AnnotationValue], Field(max_length=16)] = Field(
        default_factory=dict, description="Annotations of the pods."
    )
    env: list[Variable] = Field(
        default_factory=list,
        max_length=32,
        description="Environment variables that hold no secret.",
    )
    env_from_secrets: list[ObjectName] = Field(
        default_factory=list,
        max_length=8,
        description="Secrets of the resource's namespace whose entries become environment "
        "variables; only those that the installation's settings allow.",
    )
    volumes: list[Volume] = Field(
        default_factory=list, max_length=8, description="Folders that pods see below /mnt."
    )
    service_account_name: ObjectName | None = Field(
        None,
        description="The service account that pods run as; only one that the installation's settings "
        "allow. Its token is not mounted.",
    )
