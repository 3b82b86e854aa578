from __future__ import annotations

from typing import Any

import pytest

from cupola_operator.plan import Refused, pool


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
