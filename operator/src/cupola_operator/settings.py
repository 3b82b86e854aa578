"""The installation's settings: where artifacts go, which pools there are and what they cost.

One YAML file, written by the administrator. On a laptop a built-in file serves
(`cupola_operator/local/settings.yaml`), and `cupola run --settings FILE` takes another; on a cluster
it is a ConfigMap.
"""

from __future__ import annotations

import posixpath
from enum import StrEnum
from typing import ClassVar
from urllib.parse import quote, unquote

from pydantic import Field

from cupola_api.base import Model, Rule, Ruled
from cupola_api.control import OnExceeded
from cupola_api.pods import ObjectName, QueueName
from cupola_api.quantities import Duration, Money
from cupola_api.training import PoolName
from cupola_operator.pools import Device, Pool

__all__ = [
    "Allowed",
    "Device",
    "NamespaceBudget",
    "NamespaceRule",
    "Period",
    "Pool",
    "Settings",
    "Storage",
]


class Storage(Ruled):
    """How pods reach what lies at s3:// addresses. The operator itself reads no storage."""

    rules: ClassVar = (
        Rule(
            "!has(self.endpoint) || self.endpoint.matches('^https?://[A-Za-z0-9.:_-]+(/[!-~]*)?$')",
            "storage.endpoint must be a URL, such as https://s3.example.com:9000",
        ),
        Rule(
            "!has(self.region) || self.region.matches('^[a-z0-9-]+$')",
            "storage.region must be the name of a region, such as eu-central-1",
        ),
    )

    endpoint: str | None = Field(
        None,
        max_length=512,
        description="URL of the S3 service; absent = that of AWS.",
    )
    region: str | None = Field(
        None,
        max_length=63,
        description="Its region; absent = its default.",
    )
    secret: ObjectName | None = Field(
        None,
        description="Secret with AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, in the namespace of each "
        "resource. The operator cannot read it.",
    )
    service_account: ObjectName | None = Field(
        None,
        description="Service account that pods run as, in the namespace of each resource: where the "
        "cloud gives rights to service accounts.",
    )


class Allowed(Model):
    """What spec.podTemplate may name; nothing by default."""

    service_accounts: list[ObjectName] = Field(
        default_factory=list, max_length=64, description="Service accounts that pods may run as."
    )
    secrets: list[ObjectName] = Field(
        default_factory=list, max_length=64, description="Secrets that pods may have as variables."
    )


class Period(StrEnum):
    """The time that a budget of a namespace is for."""

    MONTH = "Month"
    TOTAL = "Total"


class NamespaceBudget(Ruled):
    """What the resources of a namespace may cost together."""

    rules: ClassVar = (
        Rule(
            "self.maxCost.matches('[1-9]')",
            'namespaces.budget.maxCost must be more than 0, such as "5000"; leave budget out for no limit',
        ),
    )

    max_cost: Money = Field(
        description="The most that they may cost; those that are deleted count too."
    )
    per: Period = Field(
        Period.MONTH, description="Month: anew in each month, by UTC. Total: for good."
    )
    on_exceeded: OnExceeded = Field(
        OnExceeded.SUSPEND,
        description="Suspend: they wait for the next month, or until maxCost is raised. Fail: what runs "
        "or would begin has Failed.",
    )


class NamespaceRule(Ruled):
    """What holds in a namespace, whatever the specs in it say."""

    rules: ClassVar = (
        Rule(
            "self.name.matches('^([*]|[a-z0-9]([-a-z0-9]*[a-z0-9])?)$')",
            'namespaces.name must be the name of a namespace, or "*" for each that is not named',
        ),
        Rule(
            "!has(self.deadline) || self.deadline.matches('[1-9]')",
            'namespaces.deadline must be longer than 0, such as "7d"; leave it out for none',
        ),
    )

    name: str = Field(
        min_length=1, max_length=63, description='The namespace; "*": each that is not named.'
    )
    budget: NamespaceBudget | None = Field(
        None, description="What its resources may cost together; absent = no limit."
    )
    deadline: Duration | None = Field(
        None,
        description="The longest that a run may take, also where its spec names no deadline or a "
        "longer one.",
    )


class Settings(Ruled):
    """Everything that an installation decides."""

    rules: ClassVar = (
        Rule(
            "self.store.matches('^(file:///|s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](/|$)|"
            "pvc://[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?(/|$))[^\\\\x00-\\\\x20\\\\x7f?#]*$')",
            "store must be s3://bucket/prefix, pvc://claim/path (a PersistentVolumeClaim in the "
            "namespace of each resource), or for cupola run file:///path; without spaces",
        ),
        Rule(
            "self.pools.all(p, self.pools.exists_one(q, q.name == p.name))",
            "pools must have different names",
        ),
        Rule(
            "self.pools.exists(p, p.name == self.dataPool)",
            "dataPool must be the name of one of the pools",
        ),
        Rule(
            "[self.trainerImage, self.curatorImage].all(i, i.matches('^[A-Za-z0-9][!-~]*$'))",
            "trainerImage and curatorImage must be images, such as registry.example.com/cupola-trainer:1",
        ),
        Rule(
            "self.namespaces.all(n, self.namespaces.exists_one(m, m.name == n.name))",
            "namespaces must have different names",
        ),
        Rule(
            "!has(self.keepFinished) || self.keepFinished.matches('[1-9]')",
            'keepFinished must be longer than 0, such as "24h"; leave it out to keep them',
        ),
    )

    store: str = Field(
        description="URI that store:/// stands for, such as s3://models/cupola.", max_length=1024
    )
    storage: Storage = Field(
        default_factory=Storage, description="How pods reach what lies at s3:// addresses."
    )
    currency: str = Field("USD", pattern=r"^[A-Z]{3}$", description="ISO 4217 code of all prices.")
    pools: list[Pool] = Field(min_length=1, max_length=64, description="The pools.")
    data_pool: PoolName = Field(description="The pool that curation runs on.")
    trainer_image: str = Field(
        "cupola-trainer", max_length=512, description="Image of pods that need torch."
    )
    curator_image: str = Field(
        "cupola-curator", max_length=512, description="Image of curation pods."
    )
    image_pull_secrets: list[ObjectName] = Field(
        default_factory=list,
        max_length=8,
        description="Secrets for the registry of the images, in the namespace of each resource.",
    )
    queue: QueueName | None = Field(
        None,
        description="LocalQueue of Kueue for what names none in spec.queue; absent = not queued.",
    )
    allowed: Allowed = Field(default_factory=Allowed, description="What spec.podTemplate may name.")
    keep_finished: Duration | None = Field(
        None,
        description="How long the PyTorchJobs and Jobs of a finished run stay, with their pods and "
        "logs; absent = as long as the resource.",
    )

    namespaces: list[NamespaceRule] = Field(
        default_factory=list,
        max_length=256,
        description="Budgets and deadlines of namespaces.",
    )

    @property
    def is_local(self) -> bool:
        """Whether these are settings of one machine: the store is a folder of it."""
        return self.store.startswith("file:///")

    def pool(self, name: str) -> Pool | None:
        """The pool of a name, or None."""
        return next((pool for pool in self.pools if pool.name == name), None)

    def namespace(self, name: str) -> NamespaceRule | None:
        """What holds in a namespace: what names it, else what is said of each."""
        rules = {rule.name: rule for rule in self.namespaces}
        return rules.get(name) or rules.get("*")

    def resolve(self, uri: str) -> str:
        """The place that a URI of a resource stands for.

        `store:///x` lies in the store; `..` does not lead out of it, as in the root of a disk.
        """
        if uri.startswith("store:///"):
            inside = "/" + unquote(uri.removeprefix("store:///")).lstrip("/")
            inside = quote(posixpath.normpath(inside))
            return self.store.rstrip("/") + inside.rstrip("/")
        return uri
