"""A pool: nodes of one kind that runs may use, what they cost, and what pods on them need."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Annotated, ClassVar

from pydantic import Field, field_validator

from cupola_api.base import Model, Rule, Ruled
from cupola_api.pods import KEY, RESERVED_VARIABLES, AnnotationValue, LabelValue, ObjectName
from cupola_api.quantities import Cores, Duration, Memory, Money
from cupola_api.training import PoolName
from cupola_operator.plan.speed import catalogue

GPU = "nvidia.com/gpu"
"""The resource of a device of a Gpu pool that names none."""

_RESOURCE = "^[a-z0-9]([-a-z0-9.]*[a-z0-9])?/[A-Za-z0-9][A-Za-z0-9_.-]*$"
"""Pattern of an extended resource of a node."""

_MOMENT = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(Z|[+-][0-9]{2}:[0-9]{2})$"


class Device(StrEnum):
    """What a rank computes on."""

    CPU = "Cpu"
    GPU = "Gpu"


class Operator(StrEnum):
    """How a toleration compares."""

    EQUAL = "Equal"
    EXISTS = "Exists"


class Effect(StrEnum):
    """What a taint does to pods that do not tolerate it."""

    NO_SCHEDULE = "NoSchedule"
    PREFER_NO_SCHEDULE = "PreferNoSchedule"
    NO_EXECUTE = "NoExecute"


class Toleration(Ruled):
    """A taint of nodes that pods put up with, as in Kubernetes."""

    rules: ClassVar = (
        Rule(
            "has(self.key) || self.operator == 'Exists'",
            "a toleration without a key tolerates every taint: write operator: Exists, or a key",
        ),
        Rule(
            "!has(self.value) || self.operator == 'Equal'",
            "a toleration with operator Exists compares no value; leave value out",
        ),
    )

    key: str | None = Field(None, max_length=317, description="Key of the taint; absent = any.")
    operator: Operator = Field(Operator.EQUAL, description="Equal: to value. Exists: any value.")
    value: LabelValue | None = Field(None, description="Value of the taint.")
    effect: Effect | None = Field(None, description="Its effect; absent = any.")


class Capability(StrEnum):
    """A privilege of Linux that RDMA may need."""

    IPC_LOCK = "IPC_LOCK"
    SYS_RESOURCE = "SYS_RESOURCE"


class Security(Ruled):
    """What the pods of a training may do beyond the restricted profile of Pod Security."""

    rules: ClassVar = (
        Rule(
            "self.capabilities.size() == 0 || self.runAsRoot",
            "security.capabilities need runAsRoot: true, as Kubernetes gives capabilities to root alone",
        ),
    )

    run_as_root: bool = Field(False, description="Run as user 0 instead of 65532.")
    capabilities: list[Capability] = Field(
        default_factory=list, max_length=2, description="Capabilities that are not dropped."
    )


class Friction(Ruled):
    """How much longer steps take than the planner's roofline says; see `cupola plan --calibrate`."""

    rules: ClassVar = (
        Rule(
            "self.low <= self.expected && self.expected <= self.high",
            "friction must be a range: low <= expected <= high",
        ),
    )

    low: float = Field(gt=0, le=1000, description="In 1 of 10 cases it is less.")
    expected: float = Field(gt=0, le=1000, description="As likely less as more.")
    high: float = Field(gt=0, le=1000, description="In 1 of 10 cases it is more.")
    runs: int | None = Field(None, ge=1, description="Finished runs that it was fitted to.")


class DatedPrice(Model):
    """What one device costs an hour from a time on."""

    since: str = Field(
        alias="from",
        json_schema_extra={"pattern": _MOMENT},
        max_length=40,
        description='When it begins to hold: RFC 3339, such as "2027-01-01T00:00:00Z".',
    )
    price_per_gpu_hour: Money = Field(description="What one device costs an hour from then on.")
    spot_price_per_gpu_hour: Money | None = Field(
        None, description="The same where it can be taken away; absent = as before."
    )

    @field_validator("since")
    @classmethod
    def _check_since(cls, text: str) -> str:
        sentence = f'{text} is no moment; write one with its offset, such as "2027-01-01T00:00:00Z"'
        if not re.fullmatch(_MOMENT, text):
            raise ValueError(sentence)
        try:
            datetime.fromisoformat(text)
        except ValueError as error:  # such as the 30th of February
            raise ValueError(sentence) from error
        return text

    @property
    def begin(self) -> datetime:
        """When it begins to hold, in UTC."""
        return datetime.fromisoformat(self.since).astimezone(UTC)


class Pool(Ruled):
    """Nodes of one kind that runs may use, and what pods on them need."""

    rules: ClassVar = (
        Rule(
            "self.device == 'Gpu' || !has(self.resource)",
            "a pool of device Cpu has no resource, as its devices are CPU slots; leave resource out",
        ),
        Rule(
            f"self.nodeSelector.all(k, k.matches('{KEY}')) && "
            f"self.annotations.all(k, k.matches('{KEY}')) && "
            f"(!has(self.topologyKey) || self.topologyKey.matches('{KEY}'))",
            "keys of nodeSelector and annotations, and topologyKey, are names of at most 63 letters, "
            "digits, '-', '_' and '.', with an optional domain and '/' before them",
        ),
        Rule(
            f"self.env.all(k, k.matches('^[A-Za-z_][A-Za-z0-9_]*$') && !k.matches('{RESERVED_VARIABLES}'))",
            "env: a variable is a name of letters, digits and '_' that Cupola, the training operator "
            "and the loader of programs do not read themselves (RANK, PET_*, AWS_*, PYTHON*, LD_* and "
            "others)",
        ),
        Rule(
            f"(!has(self.resource) || self.resource.matches('{_RESOURCE}')) && "
            f"self.resources.all(k, k.matches('{_RESOURCE}') && k != '{GPU}' && "
            "(!has(self.resource) || k != self.resource))",
            "resource is what Kubernetes calls a device, such as nvidia.com/gpu; resources are others "
            "besides, such as rdma/hca_shared_devices. Devices are counted by gpusPerNode, CPU and memory "
            "by cpuPerGpu and memoryPerGpu",
        ),
        Rule(
            "self.prices.size() == 0 || has(self.pricePerGpuHour)",
            "prices hold from their times on; write pricePerGpuHour for the time before",
        ),
        Rule(
            "self.prices.all(p, self.prices.exists_one(q, timestamp(q.from) == timestamp(p.from)))",
            "prices must begin at different times",
        ),
        Rule(
            "self.spotNodes.size() == 0 || (has(self.pricePerGpuHour) && has(self.spotPricePerGpuHour))",
            "spotNodes names nodes at the spot price; write pricePerGpuHour and spotPricePerGpuHour",
        ),
        Rule(
            f"self.spotNodes.all(k, k.matches('{KEY}'))",
            "keys of spotNodes are those of labels",
        ),
        Rule(
            "self.schedulingTimeout.matches('[1-9]')",
            'schedulingTimeout must be longer than 0, such as "10m"',
        ),
    )

    name: PoolName = Field(description="The name that spec.pools uses.")
    device: Device = Field(description="Gpu, or Cpu: then a GPU below means one CPU slot.")
    gpus_per_node: int = Field(ge=1, le=16, description="Devices a node.")
    nodes: int = Field(1, ge=1, le=100_000, description="Nodes that the pool can have.")
    threads_per_gpu: int = Field(1, ge=1, le=256, description="CPU threads for each device.")
    cpu_per_gpu: Cores | None = Field(
        None, description="CPU that is requested for each device; absent = threadsPerGpu."
    )
    memory_per_gpu: Memory | None = Field(
        None, description="Host memory for each device; a pod that takes more is killed."
    )
    price_per_gpu_hour: Money | None = Field(
        None,
        description="What one device costs an hour; absent = not known: runs on it go without money.",
    )
    prices: list[DatedPrice] = Field(
        default_factory=list,
        max_length=32,
        description="Later prices, each from a time on; before the first of them pricePerGpuHour holds.",
    )
    gpu_watts: float = Field(ge=0, le=10_000, description="Power of one device at work, W.")
    host_watts: float = Field(
        0, ge=0, le=100_000, description="Power of a node besides its devices, W; shared evenly."
    )
    gpu: str | None = Field(
        None,
        max_length=63,
        description="The GPU, by its name in the planner's catalogue, such as a100-80g; absent = the one "
        "that the pool is named for.",
    )
    network_gbit: float | None = Field(
        None, gt=0, le=100_000, description="Bandwidth from a node to the others, Gbit/s."
    )
    spot_price_per_gpu_hour: Money | None = Field(
        None, description="What one device costs an hour where it can be taken away."
    )
    spot_nodes: Annotated[dict[str, LabelValue], Field(max_length=8)] = Field(
        default_factory=dict,
        description="Labels of those of its nodes that can be taken away: pods on them are charged "
        "spotPricePerGpuHour.",
    )
    reserved_price_per_gpu_hour: Money | None = Field(
        None, description="What one device costs an hour that is committed to."
    )
    energy_price_per_kwh: Money | None = Field(
        None, description="What a kilowatt-hour costs, where prices of devices do not include it."
    )
    pue: float | None = Field(
        None, ge=1, le=5, description="Energy of the data centre over that of its computers."
    )
    carbon_intensity: float | None = Field(
        None, ge=0, le=2000, description="Grams of CO2 equivalent a kilowatt-hour."
    )
    failures_per_node_day: float | None = Field(
        None, ge=0, le=100, description="How often a node interrupts a run, a day."
    )
    friction: Friction | None = Field(
        None,
        description="Time of a step over that of the planner's roofline, as `cupola plan --calibrate` "
        "fits it to the pool's own runs; absent = that of published runs.",
    )
    node_selector: Annotated[dict[str, LabelValue], Field(max_length=16)] = Field(
        default_factory=dict, description="Labels of its nodes."
    )
    tolerations: list[Toleration] = Field(
        default_factory=list, max_length=16, description="Taints of its nodes that pods tolerate."
    )
    resource: str | None = Field(
        None,
        max_length=253,
        description=f"What Kubernetes calls a device of a Gpu pool; absent = {GPU}.",
    )
    resources: Annotated[dict[str, Annotated[int, Field(ge=1, le=1000)]], Field(max_length=8)] = (
        Field(
            default_factory=dict,
            description="Extended resources that each pod of a training gets besides its devices, such as "
            "rdma/hca_shared_devices: 1.",
        )
    )
    shared_memory: Memory | None = Field(
        None,
        description="Size of /dev/shm in the pods of a training; absent = on a Gpu pool the memory of "
        "the pod, or 1Gi for each device where that is not stated.",
    )
    priority_class: ObjectName | None = Field(None, description="PriorityClass of its pods.")
    runtime_class: ObjectName | None = Field(None, description="RuntimeClass of its pods.")
    annotations: Annotated[dict[str, AnnotationValue], Field(max_length=16)] = Field(
        default_factory=dict,
        description="Annotations of its pods, such as the networks that they are attached to.",
    )
    env: Annotated[dict[str, Annotated[str, Field(max_length=1024)]], Field(max_length=32)] = Field(
        default_factory=dict,
        description="Environment variables of its pods, such as NCCL_IB_HCA; no secrets.",
    )
    security: Security = Field(
        default_factory=Security,
        description="What the pods of a training may do beyond the restricted profile.",
    )
    topology_key: str | None = Field(
        None,
        max_length=317,
        description="A label of nodes: the pods of a training go to nodes that have the same value of "
        "it, where there is room.",
    )
    scheduling_timeout: Duration = Field(
        "10m",
        description="How long pods may find no room before the next pool of spec.pools is tried.",
    )

    @field_validator("gpu")
    @classmethod
    def _check_gpu(cls, name: str | None) -> str | None:
        if name is not None:
            try:
                catalogue.gpu(name)
            except catalogue.UnknownGpu as unknown:
                raise ValueError(str(unknown)) from unknown
        return name

    @property
    def price(self) -> Decimal | None:
        """Price of a device hour on demand before any of `prices`; None if it is not known."""
        return None if self.price_per_gpu_hour is None else Decimal(self.price_per_gpu_hour)

    @property
    def watts(self) -> Decimal:
        """Power that one device answers for, W: its own and its share of the host's, times the PUE.

        A PUE that is not stated is the one that the planner assumes.
        """
        device, host = Decimal(str(self.gpu_watts)), Decimal(str(self.host_watts))
        pue = self.pue or catalogue.assumptions().site.pue.value
        return (device + host / self.gpus_per_node) * Decimal(str(pue))
