"""The installation's settings: where artifacts go, which pools there are and what they cost.

One YAML file, written by the administrator. On a laptop a built-in file serves
(`cupola_operator/local/settings.yaml`), and `cupola run --settings FILE` takes another.
"""

from __future__ import annotations

import posixpath
from decimal import Decimal
from enum import StrEnum
from typing import ClassVar
from urllib.parse import quote, unquote

from pydantic import Field

from cupola_api.base import Model, Rule, Ruled
from cupola_api.quantities import Memory, Money
from cupola_api.training import PoolName


class Device(StrEnum):
    """What a rank computes on."""

    CPU = "Cpu"
    GPU = "Gpu"


class Pool(Model):
    """Nodes of one kind that runs may use."""

    name: PoolName = Field(description="The name that spec.pools uses.")
    device: Device = Field(description="Gpu, or Cpu: then a GPU below means one CPU slot.")
    gpus_per_node: int = Field(ge=1, le=16, description="Devices a node.")
    nodes: int = Field(1, ge=1, le=100_000, description="Nodes that the pool can have.")
    threads_per_gpu: int = Field(1, ge=1, le=256, description="CPU threads for each device.")
    memory_per_gpu: Memory | None = Field(
        None, description="Host memory for each device; a pod that takes more is killed."
    )
    price_per_gpu_hour: Money = Field(description="What one device costs an hour.")
    gpu_watts: float = Field(ge=0, le=10_000, description="Power of one device at work, W.")
    host_watts: float = Field(
        0, ge=0, le=100_000, description="Power of a node besides its devices, W; shared evenly."
    )

    @property
    def price(self) -> Decimal:
        """Price of a device hour."""
        return Decimal(self.price_per_gpu_hour)

    @property
    def watts(self) -> float:
        """Power that one device answers for, its share of the host included, W."""
        return self.gpu_watts + self.host_watts / self.gpus_per_node


class Settings(Ruled):
    """Everything that an installation decides."""

    rules: ClassVar = (
        Rule(
            "self.pools.all(p, self.pools.exists_one(q, q.name == p.name))",
            "pools must have different names",
        ),
        Rule(
            "self.pools.exists(p, p.name == self.dataPool)",
            "dataPool must be the name of one of the pools",
        ),
    )

    store: str = Field(
        description="URI that store:/// stands for, such as file:///data.", max_length=1024
    )
    currency: str = Field("USD", pattern=r"^[A-Z]{3}$", description="ISO 4217 code of all prices.")
    pools: list[Pool] = Field(min_length=1, max_length=64, description="The pools.")
    data_pool: PoolName = Field(description="The pool that curation runs on.")
    trainer_image: str = Field("cupola-trainer", description="Image of pods that need torch.")
    curator_image: str = Field("cupola-curator", description="Image of curation pods.")

    def pool(self, name: str) -> Pool | None:
        """The pool of a name, or None."""
        return next((pool for pool in self.pools if pool.name == name), None)

    def resolve(self, uri: str) -> str:
        """The place that a URI of a resource stands for.

        `store:///x` lies in the store; `..` does not lead out of it, as in the root of a disk.
        """
        if uri.startswith("store:///"):
            inside = "/" + unquote(uri.removeprefix("store:///")).lstrip("/")
            inside = quote(posixpath.normpath(inside))
            return self.store.rstrip("/") + inside.rstrip("/")
        return uri
