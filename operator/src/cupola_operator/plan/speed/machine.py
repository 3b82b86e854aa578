"""The machine that a pool of the settings is."""

from __future__ import annotations

import dataclasses
from decimal import Decimal

from cupola_api import quantities
from cupola_operator.plan import Refused
from cupola_operator.plan.estimate import Estimate
from cupola_operator.plan.speed import catalogue
from cupola_operator.plan.speed.hardware import Gpu, Machine, Price
from cupola_operator.settings import Device, Pool

_GBIT = 1e9 / 8


def of_pool(pool: Pool, currency: str) -> Machine:
    """The machine of a pool: what the pool says, and the catalogue where it says nothing.

    Refuses with GpuUnknown if neither `gpu` nor the name of the pool is a GPU of the catalogue.
    """
    gpu = _core(pool) if pool.device is Device.CPU else _gpu(pool)
    memory = pool.memory_per_gpu
    found = catalogue.machine(
        gpu,
        name=pool.name,
        gpus=pool.gpus_per_node,
        nodes=pool.nodes,
        network=None if pool.network_gbit is None else pool.network_gbit * _GBIT,
        host_memory=None if memory is None else quantities.memory(memory) * pool.gpus_per_node,
        host_watts=pool.host_watts if "host_watts" in pool.model_fields_set else None,
        price=Price(
            on_demand=pool.price,
            reserved=_money(pool.reserved_price_per_gpu_hour),
            spot=_money(pool.spot_price_per_gpu_hour),
            currency=currency,
        ),
        pue=pool.pue,
        failures_per_node_day=pool.failures_per_node_day,
        carbon=pool.carbon_intensity,
        energy_price=_money(pool.energy_price_per_kwh),
    )
    own = pool.friction
    if own is None:
        return found
    return dataclasses.replace(found, friction=Estimate(own.low, own.expected, own.high))


def _gpu(pool: Pool) -> Gpu:
    """The GPU that the pool names, or is named for, with the pool's power."""
    try:
        found = catalogue.gpu(pool.gpu or pool.name)
    except catalogue.UnknownGpu as unknown:
        raise Refused(
            "GpuUnknown",
            f"pool {pool.name!r} does not say which GPU it has; write gpu: in the settings, one of "
            f"{', '.join(gpu.name for gpu in catalogue.gpus())}",
        ) from unknown
    return dataclasses.replace(found, watts=pool.gpu_watts)


def _core(pool: Pool) -> Gpu:
    """A CPU slot: as many cores as it has threads."""
    one = catalogue.gpu("cpu")
    threads = pool.threads_per_gpu
    memory = pool.memory_per_gpu
    return dataclasses.replace(
        one,
        memory=quantities.memory(memory) if memory else one.memory * threads,
        peak={precision: peak * threads for precision, peak in one.peak.items()},
        bandwidth=one.bandwidth * threads,
        watts=pool.gpu_watts,
    )


def _money(text: str | None) -> Decimal | None:
    return None if text is None else Decimal(text)
