from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from cupola_api.training import Parallelism
from cupola_operator.plan import Refused, pool
from cupola_operator.settings import Pool


def test_the_wanted_pool_is_taken(kit: Any) -> None:
    assert pool.choose(kit.SETTINGS, ["h100"], nodes=2, gpus=8).name == "h100"


@pytest.mark.parametrize(
    ("nodes", "gpus", "name"), [(1, None, "cpu"), (4, 2, "cpu"), (1, 3, "h100"), (2, 8, "h100")]
)
def test_without_a_wish_it_is_the_cheapest_that_fits(
    kit: Any, nodes: int, gpus: int | None, name: str
) -> None:
    assert pool.choose(kit.SETTINGS, [], nodes=nodes, gpus=gpus).name == name


def test_of_equal_prices_the_first_name_is_taken(kit: Any) -> None:
    cpu = kit.SETTINGS.pools[0]
    twins = [cpu.model_copy(update={"name": name}) for name in ("b", "a")]
    settings = kit.SETTINGS.model_copy(update={"pools": twins})
    assert pool.choose(settings, []).name == "a"


def test_a_pool_without_a_price_is_taken_where_no_other_fits(kit: Any) -> None:
    cpu, h100 = kit.SETTINGS.pools
    free = h100.model_copy(update={"name": "a", "price_per_gpu_hour": None})
    settings = kit.SETTINGS.model_copy(update={"pools": [free, h100, cpu]})
    assert pool.choose(settings, [], gpus=8).name == "h100"
    assert pool.cheapest(settings).name == "cpu"
    alone = settings.model_copy(update={"pools": [free, cpu]})
    assert pool.choose(alone, [], gpus=8).name == "a"


@pytest.mark.parametrize(
    ("year", "price", "spot"), [(2024, "3.6", "1"), (2025, "4", "1"), (2026, "5", "2")]
)
def test_prices_are_those_of_today(kit: Any, year: int, price: str, spot: str) -> None:
    dated = [
        {"from": "2026-01-01T00:00:00Z", "pricePerGpuHour": "5", "spotPricePerGpuHour": "2"},
        {"from": "2025-01-01T00:00:00Z", "pricePerGpuHour": "4"},
    ]
    h100 = Pool.model_validate(
        kit.SETTINGS.pools[1].to_json() | {"spotPricePerGpuHour": "1", "prices": dated}
    )
    settings = kit.SETTINGS.model_copy(update={"pools": [kit.SETTINGS.pools[0], h100]})
    cpu, found = pool.all_today(settings, datetime(year, 6, 1, tzinfo=UTC)).pools
    assert cpu == kit.SETTINGS.pools[0]
    assert (found.price_per_gpu_hour, found.spot_price_per_gpu_hour) == (price, spot)


def test_without_a_price_there_is_none_today(kit: Any) -> None:
    free = kit.SETTINGS.pools[1].model_copy(update={"price_per_gpu_hour": None})
    assert pool.today(free, datetime(2026, 1, 1, tzinfo=UTC)) is free


@pytest.mark.parametrize(("gpus", "size"), [(None, 16), (3, 6)])
def test_a_run_takes_whole_nodes_or_what_it_asks_for(kit: Any, gpus: int | None, size: int) -> None:
    parallelism = Parallelism(nodes=2, gpus_per_node=gpus)
    world = pool.world(parallelism, kit.SETTINGS.pools[1])
    assert (world.size, world.threads, world.device) == (size, 12, "Gpu")


def test_an_unknown_pool_names_those_there_are(kit: Any) -> None:
    with pytest.raises(Refused, match="no pool 'a100'; this installation has cpu, h100") as refused:
        pool.choose(kit.SETTINGS, ["a100"])
    assert refused.value.reason == "PoolNotFound"


@pytest.mark.parametrize(
    ("wanted", "nodes", "gpus", "words"),
    [
        (["cpu"], 1, 3, "a node of pool 'cpu' has 2 devices, and spec.parallelism.gpusPerNode"),
        (["h100"], 3, None, "pool 'h100' has 2 nodes, and spec.parallelism.nodes asks for 3"),
        ([], 3, 8, "no pool is large enough .*'cpu'.*; .*'h100'"),
    ],
)
def test_too_small_a_pool_says_what_is_lacking(
    kit: Any, wanted: list[str], nodes: int, gpus: int | None, words: str
) -> None:
    with pytest.raises(Refused, match=words) as refused:
        pool.choose(kit.SETTINGS, wanted, nodes=nodes, gpus=gpus)
    assert refused.value.reason == "PoolTooSmall"


def pools_of(kit: Any) -> Any:
    """Settings with pools like h100 that differ in one thing each."""
    h100 = kit.SETTINGS.pools[1]
    more = [
        h100.model_copy(update={"name": "a100"}),
        h100.model_copy(update={"name": "small", "gpus_per_node": 4}),
        h100.model_copy(update={"name": "few", "nodes": 1}),
    ]
    return kit.SETTINGS.model_copy(update={"pools": [*kit.SETTINGS.pools, *more]})


@pytest.mark.parametrize(
    ("wanted", "nodes", "gpus", "names"),
    [
        ([], 2, 8, []),
        (["h100"], 2, 8, []),
        (["h100", "a100"], 2, 8, ["a100"]),
        (["h100", "a100", "h100", "a100"], 2, None, ["a100"]),
        (["h100", "small"], 2, 4, ["small"]),
        (["h100", "few", "a100"], 1, 8, ["few", "a100"]),
    ],
)
def test_the_other_pools_come_in_their_order(
    kit: Any, wanted: list[str], nodes: int, gpus: int | None, names: list[str]
) -> None:
    settings = pools_of(kit)
    first = pool.choose(settings, wanted, nodes=nodes, gpus=gpus)
    found = pool.others(settings, wanted, first, nodes=nodes, gpus=gpus)
    assert [one.name for one in found] == names


@pytest.mark.parametrize(
    ("other", "nodes", "gpus", "words"),
    [
        ("tpu", 1, 8, "no pool 'tpu'"),
        ("small", 1, 8, "a node of pool 'small' has 4 devices"),
        ("small", 1, None, "spec.parallelism.gpusPerNode, or leave"),
        ("few", 2, 8, "pool 'few' has 1 nodes"),
        ("cpu", 1, 1, "of kind Gpu, and those of 'cpu' of kind Cpu"),
    ],
)
def test_another_pool_must_take_the_same_layout(
    kit: Any, other: str, nodes: int, gpus: int | None, words: str
) -> None:
    settings, wanted = pools_of(kit), ["h100", other]
    first = pool.choose(settings, wanted, nodes=nodes, gpus=gpus)
    with pytest.raises(Refused, match=words) as refused:
        pool.others(settings, wanted, first, nodes=nodes, gpus=gpus)
    reasons = {"tpu": "PoolNotFound", "cpu": "PoolsDiffer"}
    assert refused.value.reason == reasons.get(other, "PoolTooSmall")
