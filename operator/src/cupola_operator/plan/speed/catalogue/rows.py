"""The rows of the catalogue's data files: what they may hold, checked when they are read."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal
from typing import Literal

from pydantic import Field

from cupola_api.base import Model
from cupola_operator.plan.speed.hardware import Gpu

_GB = 1e9
_Positive = Field(gt=0)


class Built(Model):
    """How a GPU is usually built into nodes."""

    gpus: int = _Positive
    network_gbit: float = _Positive


class GpuRow(Model):
    """A GPU as its vendor describes it; units are in the names, and in the data file."""

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9-]*$")
    aliases: tuple[str, ...] = ()
    title: str
    memory_mib: int = _Positive
    reserved_mib: int = Field(1536, ge=0)
    peak_tflops: dict[Literal["FP32", "TF32", "FP16", "BF16", "FP8"], float] = Field(min_length=1)
    matmul: float = Field(gt=0, le=1)
    tile: float = Field(192, ge=0)
    bandwidth_gbs: float = _Positive
    link_gbs: float = _Positive
    host_link_gbs: float = _Positive
    watts: float = _Positive
    node: Built
    uncertain: tuple[str, ...] = ()
    source: str = Field(min_length=8)

    def gpu(self) -> Gpu:
        """The same in base units."""
        return Gpu(
            name=self.name,
            title=self.title,
            memory=(self.memory_mib - self.reserved_mib) * 2**20,
            peak={precision: peak * 1e12 for precision, peak in self.peak_tflops.items()},
            matmul=self.matmul,
            tile=self.tile,
            bandwidth=self.bandwidth_gbs * _GB,
            link=self.link_gbs * _GB,
            host_link=self.host_link_gbs * _GB,
            watts=self.watts,
        )


class Gpus(Model):
    """The file of GPUs."""

    date: dt.date
    gpus: list[GpuRow]


class Instance(Model):
    """A type of instance that a cloud rents out."""

    name: str
    gpu: str = Field(description="Name of the GPU.")
    gpus: int = Field(gt=0, le=72)
    network_gbit: float = Field(gt=0, description="Of the whole node, Gbit/s.")
    memory_gib: int = Field(gt=0)
    host_watts: float | None = None
    on_demand: Decimal | None = Field(None, gt=0, description="Price of an hour of it.")
    reserved: Decimal | None = Field(None, gt=0, description="The same, committed for one year.")
    spot: Decimal | None = Field(None, gt=0)
    uncertain: tuple[str, ...] = Field((), description="Figures that sources disagree on.")
    source: str = Field(min_length=8)


class Cloud(Model):
    """The instance types of one cloud."""

    cloud: str
    currency: str
    region: str
    date: dt.date
    instances: list[Instance]


class Assumption(Model):
    """A figure that holds where nobody stated one, and where it is from."""

    value: float = _Positive
    source: str = Field(min_length=8)


class Node(Model):
    """Of a node."""

    host_watts_per_gpu_watt: Assumption
    failures_per_node_day: Assumption


class Site(Model):
    """Of its data centre and grid."""

    pue: Assumption
    carbon_intensity: Assumption


class Assumptions(Model):
    """What is assumed of a node and its site."""

    date: dt.date
    node: Node
    site: Site


class Physics(Model):
    """Constants of the model of step time; their units stand in the data file."""

    attention: Assumption
    memory_bandwidth: Assumption
    kernel_launch: Assumption
    kernels_per_block: Assumption
    link_efficiency: Assumption
    link_latency: Assumption
    network_efficiency: Assumption
    network_latency: Assumption
    overlap: Assumption
    host_bandwidth: Assumption


class Friction(Model):
    """The factor that is fitted to runs."""

    expected: float = _Positive
    low: float = _Positive
    high: float = _Positive
    fitted_on: str
