"""The pool that a run computes on."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal

from cupola_api import run as contract
from cupola_api.training import Parallelism
from cupola_operator.cost import prices
from cupola_operator.plan import Refused
from cupola_operator.settings import Pool, Settings


def choose(
    settings: Settings, wanted: Sequence[str], *, nodes: int = 1, gpus: int | None = None
) -> Pool:
    """The wanted pool, or the cheapest that has `nodes` nodes with `gpus` devices each.

    A pool without a price is taken where no other fits.
    `gpus` None asks for whole nodes, of whatever size. Refuses with PoolNotFound if there is no
    pool of the wanted name, and with PoolTooSmall if the wanted one, or every one, lacks devices.
    """
    if wanted:
        pool = settings.pool(wanted[0])
        if pool is None:
            raise Refused(
                "PoolNotFound",
                f"spec.pools: there is no pool {wanted[0]!r}; this installation has "
                f"{', '.join(sorted(p.name for p in settings.pools))}",
            )
        if problem := _too_small(pool, nodes, gpus):
            raise Refused("PoolTooSmall", f"{problem}; ask for less or choose another pool")
        return pool
    fitting = [pool for pool in settings.pools if not _too_small(pool, nodes, gpus)]
    if not fitting:
        problems = "; ".join(str(_too_small(pool, nodes, gpus)) for pool in settings.pools)
        raise Refused("PoolTooSmall", f"no pool is large enough ({problems}); ask for less")
    return min(fitting, key=_dearness)


def world(parallelism: Parallelism, pool: Pool) -> contract.World:
    """The ranks of a training on that pool, and what each has."""
    return contract.World(
        nodes=parallelism.nodes,
        gpus_per_node=parallelism.gpus_per_node or pool.gpus_per_node,
        threads=pool.threads_per_gpu,
        device=pool.device.value,
    )


def today(pool: Pool, now: datetime) -> Pool:
    """The pool with the price that holds now, where its settings say from when on prices hold."""
    known = prices.rates(pool)
    if known is None or len(known) == 1:
        return pool
    rate = prices.at(known, now)
    spot = pool.spot_price_per_gpu_hour and _money(rate.spot)
    return pool.model_copy(
        update={"price_per_gpu_hour": _money(rate.on_demand), "spot_price_per_gpu_hour": spot}
    )


def all_today(settings: Settings, now: datetime) -> Settings:
    """The settings with the prices that hold now."""
    return settings.model_copy(update={"pools": [today(one, now) for one in settings.pools]})


def _money(millionths: int) -> str:
    return f"{Decimal(millionths) / prices.MILLION:f}"


def others(
    settings: Settings,
    wanted: Sequence[str],
    first: Pool,
    *,
    nodes: int = 1,
    gpus: int | None = None,
) -> list[Pool]:
    """The pools to go to, in their order, when `first`, the first of the wanted ones, has no room.

    A run keeps its layout, so each must take that: Refuses with PoolNotFound, PoolTooSmall, and with
    PoolsDiffer if a pool has devices of another kind. `gpus` None asks for as many as a node of
    `first` has.
    """
    found: list[Pool] = []
    for name in dict.fromkeys(wanted[1:]):
        if name == first.name:
            continue
        one = choose(settings, [name], nodes=nodes, gpus=gpus)
        if one.device is not first.device:
            raise Refused(
                "PoolsDiffer",
                f"spec.pools: the devices of pool {first.name!r} are of kind {first.device.value}, and "
                f"those of {name!r} of kind {one.device.value}; name pools of one kind",
            )
        if gpus is None and one.gpus_per_node < first.gpus_per_node:
            raise Refused(
                "PoolTooSmall",
                f"spec.pools: a node of pool {first.name!r} has {first.gpus_per_node} devices, and one "
                f"of {name!r} has {one.gpus_per_node}; write how many a run takes of each, as "
                "spec.parallelism.gpusPerNode, or leave the smaller one out",
            )
        found.append(one)
    return found


def cheapest(settings: Settings) -> Pool:
    """The pool whose device hour costs least."""
    return min(settings.pools, key=_dearness)


def _dearness(pool: Pool) -> tuple[bool, Decimal, str]:
    """What pools are ordered by: one whose price nobody knows may cost anything."""
    return pool.price is None, pool.price or Decimal(0), pool.name


def _too_small(pool: Pool, nodes: int, gpus: int | None) -> str | None:
    """Why the pool is too small, or None."""
    if gpus is not None and gpus > pool.gpus_per_node:
        return (
            f"a node of pool {pool.name!r} has {pool.gpus_per_node} devices, and "
            f"spec.parallelism.gpusPerNode asks for {gpus}"
        )
    if nodes > pool.nodes:
        return (
            f"pool {pool.name!r} has {pool.nodes} nodes, and spec.parallelism.nodes asks for "
            f"{nodes}"
        )
    return None
