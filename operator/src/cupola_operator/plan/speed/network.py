"""How long messages between the devices of a machine take: bytes over bandwidth, and hops.

Rings as NCCL builds them: an all-gather or a reduce-scatter sends (n - 1) / n of the whole past each
rank in n - 1 steps (Thakur, Rabenseifner & Gropp 2005, "Optimization of collective communication
operations in MPICH"). All groups of a kind send at once, so that they share the network of a node.
"""

from __future__ import annotations

from cupola_operator.plan.speed import catalogue
from cupola_operator.plan.speed.hardware import Machine


class Network:
    """Links in a node and the network between nodes, at what messages reach of them."""

    def __init__(self, machine: Machine) -> None:
        constants = catalogue.physics()
        self._gpus = machine.gpus
        self._link = machine.gpu.link * constants.link_efficiency.value
        self._link_latency = constants.link_latency.value
        self._network = machine.network * constants.network_efficiency.value
        self._network_latency = constants.network_latency.value

    def ring(self, size: float, ranks: int, *, stride: int) -> float:
        """Seconds of an all-gather or a reduce-scatter of `size` bytes over ranks `stride` apart."""
        if ranks == 1:
            return 0.0
        nodes = -(-ranks * stride // self._gpus)
        hops = min(nodes, ranks)
        latency = (ranks - hops) * self._link_latency
        if nodes > 1:
            latency += (hops - 1) * self._network_latency
        moved = size * (ranks - 1) / ranks
        return moved / self._bandwidth(ranks, stride) + latency

    def exchange(self, size: float, ranks: int, *, stride: int) -> float:
        """Seconds of all-to-alls in which each rank keeps 1 / ranks of its `size` bytes."""
        if ranks == 1:
            return 0.0
        if ranks * stride <= self._gpus:
            return size * (ranks - 1) / ranks / self._link + self._link_latency
        away = 1 - max(1, self._gpus // stride) / ranks
        return size * away / (self._network / self._gpus) + self._network_latency

    def hop(self, size: float, *, far: bool) -> float:
        """Seconds of one message, to another node or in it, while all ranks send one."""
        if far:
            return size / (self._network / self._gpus) + self._network_latency
        return size / self._link + self._link_latency

    def _bandwidth(self, ranks: int, stride: int) -> float:
        """Bytes/s of a ring: across nodes, the share of their network that its ranks there have."""
        if ranks * stride <= self._gpus:
            return self._link
        neighbours = max(1, self._gpus // stride)
        return min(self._link, self._network * min(neighbours, ranks) / self._gpus)
