"""GPUs and cloud instance types: figures of their vendors, as dated data files with sources.

`gpus.yaml`, `aws.yaml`, `gcp.yaml` and `assumptions.yaml` beside this file. They are checked when
they are read; a price that was not known on their date is absent. A pool of the settings that says
something else counts more (`machine.of_pool`).
"""

from __future__ import annotations

import difflib
from decimal import Decimal
from functools import cache
from importlib import resources
from typing import Any

import yaml

from cupola_api import errors
from cupola_operator.plan.speed.catalogue.rows import (
    Assumptions,
    Cloud,
    Friction,
    GpuRow,
    Gpus,
    Physics,
)
from cupola_operator.plan.speed.hardware import Gpu, Machine, Price

_GBIT = 1e9 / 8


class UnknownGpu(Exception):
    """There is no such GPU in the catalogue; the message names near ones."""


def _read(name: str) -> Any:
    """A data file of this package."""
    return yaml.safe_load(resources.files(__name__).joinpath(name).read_text())


@cache
def _rows() -> tuple[GpuRow, ...]:
    return tuple(Gpus.model_validate(_read("gpus.yaml")).gpus)


@cache
def _by_name() -> dict[str, Gpu]:
    """GPUs by name and by alias."""
    return {name: row.gpu() for row in _rows() for name in (row.name, *row.aliases)}


def gpus() -> list[Gpu]:
    """All of them."""
    return [_by_name()[row.name] for row in _rows()]


def gpu(name: str) -> Gpu:
    """The one of that name (`A100-80GB` is a100-80g). Raises UnknownGpu with near names."""
    known = _by_name()
    key = name.strip().lower().replace("_", "-").replace(" ", "-").removeprefix("nvidia-")
    for candidate in (key, key.removesuffix("b")):
        if candidate in known:
            return known[candidate]
    near = difflib.get_close_matches(key, known, n=3, cutoff=0.5)
    if near:
        raise UnknownGpu(
            f"the catalogue has no GPU {errors.plain(name)!r}; did you mean {' or '.join(near)}?"
        )
    names = ", ".join(one.name for one in gpus())
    raise UnknownGpu(f"the catalogue has no GPU {errors.plain(name)!r}; it has {names}")


@cache
def clouds() -> tuple[Cloud, ...]:
    """All of them. Raises UnknownGpu if an instance has a GPU that is not in the catalogue."""
    found = tuple(Cloud.model_validate(_read(f"{cloud}.yaml")) for cloud in ("aws", "gcp"))
    for cloud in found:
        for one in cloud.instances:
            gpu(one.gpu)
    return found


@cache
def assumptions() -> Assumptions:
    """What the planner assumes where nobody stated a figure."""
    return Assumptions.model_validate(_read("assumptions.yaml"))


@cache
def physics() -> Physics:
    """Constants of the model of step time."""
    return Physics.model_validate(_read("physics.yaml"))


@cache
def friction() -> Friction:
    """The factor that is fitted to published runs, by `cupola_operator.plan.speed.published`."""
    return Friction.model_validate(_read("friction.yaml"))


@cache
def instances() -> tuple[Machine, ...]:
    """The instance types of all clouds."""
    return tuple(
        machine(
            gpu(one.gpu),
            name=one.name,
            gpus=one.gpus,
            network=one.network_gbit * _GBIT,
            host_memory=one.memory_gib * 2**30,
            host_watts=one.host_watts,
            price=Price(
                on_demand=_each(one.on_demand, one.gpus),
                reserved=_each(one.reserved, one.gpus),
                spot=_each(one.spot, one.gpus),
                currency=cloud.currency,
            ),
        )
        for cloud in clouds()
        for one in cloud.instances
    )


def instance(name: str) -> Machine | None:
    """The instance type of a name, or None."""
    return next((one for one in instances() if one.name == name), None)


def typical(name: str) -> Machine:
    """A node as the GPU of that name is usually built in, at the lowest list price of a cloud.

    Price and host memory are those of the cheapest instance with as many of them, else with any;
    None if no cloud of the catalogue has one. Raises UnknownGpu.
    """
    wanted = gpu(name)
    built = next(row.node for row in _rows() if row.name == wanted.name)
    rented = [one for one in instances() if one.gpu.name == wanted.name]
    alike = [one for one in rented if one.gpus == built.gpus] or rented
    priced = [one for one in alike if one.price.on_demand is not None]
    cheapest = min(priced, key=lambda one: one.price.on_demand or Decimal(0), default=None)
    memory = None
    if cheapest and cheapest.host_memory:
        memory = cheapest.host_memory * built.gpus // cheapest.gpus
    return machine(
        wanted,
        name=wanted.name,
        gpus=built.gpus,
        network=built.network_gbit * _GBIT,
        host_memory=memory,
        price=cheapest.price if cheapest else None,
    )


def machine(
    one: Gpu,
    *,
    name: str,
    gpus: int | None = None,
    nodes: int = 1,
    network: float | None = None,
    host_memory: int | None = None,
    host_watts: float | None = None,
    price: Price | None = None,
    pue: float | None = None,
    failures_per_node_day: float | None = None,
    carbon: float | None = None,
    energy_price: Decimal | None = None,
) -> Machine:
    """A node of GPUs; what is None is assumed, and `Machine.assumed` says so."""
    assumed = assumptions()
    built = next(row.node for row in _rows() if row.name == one.name)
    count = gpus or built.gpus
    stated = {
        "network": network,
        "hostWatts": host_watts,
        "pue": pue,
        "failuresPerNodeDay": failures_per_node_day,
        "carbonIntensity": carbon,
    }
    return Machine(
        name=name,
        gpu=one,
        gpus=count,
        nodes=nodes,
        network=network or built.network_gbit * _GBIT * count / built.gpus,
        host_memory=host_memory,
        host_watts=(
            count * one.watts * assumed.node.host_watts_per_gpu_watt.value
            if host_watts is None
            else host_watts
        ),
        price=price or Price(),
        pue=pue or assumed.site.pue.value,
        failures_per_node_day=(
            assumed.node.failures_per_node_day.value
            if failures_per_node_day is None
            else failures_per_node_day
        ),
        carbon=assumed.site.carbon_intensity.value if carbon is None else carbon,
        energy_price=energy_price,
        assumed=tuple(figure for figure, value in stated.items() if value is None),
    )


def _each(price: Decimal | None, gpus: int) -> Decimal | None:
    """The share of one GPU in the price of a node."""
    return None if price is None else price / gpus
