"""What a run computes on, in numbers: a GPU, a node of them, and what an hour of it costs.

SI base units: bytes, seconds, FLOP/s, watts. `catalogue` holds the figures of vendors and clouds;
`of_pool` makes a machine of a pool of the settings, whose own figures count more.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from cupola_operator.plan.estimate import Estimate


@dataclass(frozen=True)
class Gpu:
    """One device."""

    name: str
    """Name in the catalogue, such as a100-80g."""
    title: str
    """What its vendor calls it."""
    memory: int
    """Bytes that a program can use: what the driver reports, less what its context takes."""
    peak: Mapping[str, float]
    """Precision (FP32, TF32, FP16, BF16, FP8) -> dense peak, FLOP/s; what it cannot do is absent."""
    matmul: float
    """The share of the peak that the best large matrix products reach when it is hot."""
    tile: float
    """Depth of a matrix product, in elements, that is lost at its start and end."""
    bandwidth: float
    """Memory bandwidth, bytes/s."""
    link: float
    """Bandwidth to the other GPUs of the node, bytes/s, one direction."""
    host_link: float
    """Bandwidth to the host, bytes/s, one direction."""
    watts: float
    """Power limit, W."""

    def flops(self, precision: str) -> float:
        """Dense peak of training in a precision, FLOP/s.

        FP32 is computed as TF32 where the device has it, as PyTorch trains; BF16 as FP16 where it
        is missing, and both as FP32 where there are no matrix units. Raises KeyError for another
        precision.
        """
        for candidate in _INSTEAD[precision]:
            if candidate in self.peak:
                return self.peak[candidate]
        raise KeyError(precision)


_INSTEAD = {
    "FP8": ("FP8", "BF16", "FP16", "FP32"),
    "BF16": ("BF16", "FP16", "FP32"),
    "FP16": ("FP16", "BF16", "FP32"),
    "TF32": ("TF32", "FP32"),
    "FP32": ("TF32", "FP32"),
}


@dataclass(frozen=True)
class Price:
    """What an hour of one GPU costs, its share of the node included; what is not known is None."""

    on_demand: Decimal | None = None
    reserved: Decimal | None = None
    """A committed hour (of one year where the catalogue says it), no matter whether it is used."""
    spot: Decimal | None = None
    """An hour that can be taken away."""
    currency: str = "USD"


@dataclass(frozen=True)
class Machine:
    """A node, and how many there are."""

    name: str
    """The pool's name, the cloud's instance type, or the GPU's name."""
    gpu: Gpu
    gpus: int
    """GPUs a node."""
    nodes: int
    """Nodes that there are; of a cloud as many as are asked for."""
    network: float
    """Bandwidth from one node to the others, bytes/s, one direction."""
    host_memory: int | None
    """Memory of a node, bytes."""
    host_watts: float
    """Power of a node at work besides its GPUs, W."""
    price: Price
    pue: float
    """Energy of the data centre over the energy of its computers."""
    failures_per_node_day: float
    """Interruptions of a run a node causes a day."""
    carbon: float
    """gCO2e a kWh of the grid."""
    energy_price: Decimal | None = None
    """Price of a kWh, where the installation pays its own."""
    friction: Estimate | None = None
    """Time of a step over that of the roofline, where it was fitted to runs on this machine."""
    assumed: tuple[str, ...] = ()
    """Figures that nobody stated for this machine, which are the catalogue's assumptions."""

    @property
    def world(self) -> int:
        """GPUs in all."""
        return self.gpus * self.nodes

    def of(self, gpus: int) -> Machine:
        """The same with room for exactly `gpus` GPUs: whole nodes, or a part of one.

        A part of a node answers for its share of the power of the host.
        """
        if gpus <= self.gpus:
            watts = self.host_watts * gpus / self.gpus
            return dataclasses.replace(self, gpus=gpus, nodes=1, host_watts=watts)
        return dataclasses.replace(self, nodes=-(-gpus // self.gpus))
