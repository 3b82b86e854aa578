"""Prices that change, prices of nodes that can be taken away, and pools that have none."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from cupola_operator.children import Placement, Resolved
from cupola_operator.cost import prices
from cupola_operator.cost.prices import MILLION, Rate
from cupola_operator.pools import Pool
from cupola_operator.settings import Settings

ZERO = datetime(2026, 1, 1, tzinfo=UTC)
EVER = datetime.min.replace(tzinfo=UTC)


def at(second: float) -> datetime:
    return ZERO + timedelta(seconds=second)


def dated(second: int, price: str, spot: str | None = None) -> dict[str, str]:
    found = {"from": at(second).isoformat().replace("+00:00", "Z"), "pricePerGpuHour": price}
    return found | ({"spotPricePerGpuHour": spot} if spot else {})


def pool(price: str | None = "1", name: str = "a", **fields: Any) -> Pool:
    plain = {"name": name, "device": "Gpu", "gpusPerNode": 2, "gpuWatts": 1, "gpu": "a100-80g"}
    known = {"pricePerGpuHour": price} if price else {}
    return Pool.model_validate({**plain, **known, **fields})


def rates(**fields: Any) -> prices.Rates:
    found = prices.rates(pool(**fields))
    assert found
    return found


def test_a_pool_without_a_price_has_no_rates() -> None:
    assert prices.rates(pool(None)) is None
    assert prices.on_demand(pool(None), ZERO) is None


def test_prices_hold_from_their_times_on_whatever_their_order() -> None:
    found = rates(prices=[dated(20, "3.5"), dated(10, "2")])
    assert found == (
        Rate(EVER, 1_000_000, 1_000_000),
        Rate(at(10), 2_000_000, 2_000_000),
        Rate(at(20), 3_500_000, 3_500_000),
    )
    assert [prices.at(found, at(t)).on_demand for t in (-1, 9, 10, 19, 20, 99)] == [
        *(1_000_000, 1_000_000, 2_000_000, 2_000_000, 3_500_000, 3_500_000)
    ]
    assert prices.on_demand(pool(prices=[dated(20, "3.5")]), at(20)) == Decimal("3.5")


def test_a_spot_price_stays_until_another_one_is_said() -> None:
    found = rates(spotPricePerGpuHour="0.4", prices=[dated(10, "2"), dated(20, "3", "0.000001")])
    assert [rate.spot for rate in found] == [400_000, 400_000, 1]
    assert [rate.on_demand for rate in found] == [1_000_000, 2_000_000, 3_000_000]
    assert [found[0].of(spot) for spot in (True, False, None)] == [400_000, 1_000_000, 1_000_000]


def test_when_the_next_price_begins() -> None:
    found = rates(prices=[dated(10, "2"), dated(20, "3")])
    assert [prices.change(found, at(t)) for t in (0, 10, 19, 20)] == [
        *(at(10), at(20), at(20), None)
    ]


def test_the_highest_price_of_a_while() -> None:
    found = rates(spotPricePerGpuHour="0.4", prices=[dated(10, "3"), dated(20, "2")])
    spans = ((0, 9), (0, 10), (5, 99), (10, 12), (21, 30))
    assert [prices.highest(found, at(a), at(b)) // MILLION for a, b in spans] == [1, 3, 3, 3, 2]
    spot_is_dearer = rates(spotPricePerGpuHour="7")
    assert prices.highest(spot_is_dearer, ZERO, ZERO) == 7 * MILLION


@given(
    begin=st.integers(0, 40),
    length=st.integers(0, 40),
    changes=st.dictionaries(st.integers(1, 70), st.integers(0, 9), max_size=4),
    spot=st.booleans(),
)
def test_money_is_that_of_every_second(
    begin: int, length: int, changes: dict[int, int], spot: bool
) -> None:
    fields = [dated(second, str(price), str(price + 1)) for second, price in changes.items()]
    found = rates(spotPricePerGpuHour="2", prices=fields)
    expected = 0
    for second in range(begin, begin + length):
        since = max((change for change in changes if change <= second), default=None)
        price = changes[since] + spot if since is not None else 1 + spot
        expected += price * MILLION * MILLION
    assert prices.money(found, at(begin), at(begin + length), spot) == expected


@pytest.mark.parametrize(
    ("length", "micros"),
    [
        (timedelta(days=2, seconds=3, microseconds=4), 172_803_000_004),
        (timedelta(microseconds=1), 1),
        (timedelta(seconds=-1), -1_000_000),
    ],
)
def test_microseconds(length: timedelta, micros: int) -> None:
    assert prices.micros(ZERO, ZERO + length) == micros


def resolved(*pools: Pool, made: float | None = 5, currency: str = "USD") -> Resolved:
    first, *others = pools
    placement = Placement(pool=first, others=others, currency=currency, image="i")
    return Resolved("r", "d", None, placement, None if made is None else at(made))  # type: ignore[arg-type]


def settings(*pools: Pool, currency: str = "USD") -> Settings:
    return Settings(
        store="s3://models", pools=list(pools), data_pool=pools[0].name, currency=currency
    )


def known(one: Resolved, now: Settings) -> list[list[tuple[str, str]]]:
    """(time, price) of the later prices of each pool of a run, as they are known now."""
    found = prices.known(one, now)
    assert found
    pools = (found.placement.pool, *found.placement.others)
    return [[(p.since[17:19], p.price_per_gpu_hour) for p in pool.prices] for pool in pools]


def test_later_prices_of_the_settings_of_now_count_and_win() -> None:
    before = pool(prices=[dated(10, "2"), dated(30, "3")])
    now = pool("9", prices=[dated(4, "4"), dated(10, "5"), dated(20, "6")])
    assert known(resolved(before), settings(now)) == [[("30", "3"), ("10", "5"), ("20", "6")]]
    assert prices.known(resolved(before), settings(now)).placement.pool.price == 1  # type: ignore[union-attr]


def test_a_price_of_the_moment_in_which_it_was_resolved_is_not_later() -> None:
    now = settings(pool(prices=[dated(5, "4")]))
    one = resolved(pool())
    assert prices.known(one, now) is one


def test_each_pool_of_a_run_has_its_own_later_prices() -> None:
    one = resolved(pool(), pool(name="b"), pool(name="c"))
    now = settings(pool(name="b", prices=[dated(10, "2")]), pool(prices=[dated(20, "3")]))
    assert known(one, now) == [[("20", "3")], [("10", "2")], []]


def test_what_changes_nothing_leaves_the_run_as_it_is() -> None:
    later = settings(pool(prices=[dated(10, "2")]))
    euros = resolved(pool(), currency="EUR")
    assert prices.known(euros, later) is euros
    free = resolved(pool(None))
    assert prices.known(free, later) is free
    unknown = resolved(pool(), made=None)
    assert prices.known(unknown, later) is unknown
    same = resolved(pool(prices=[dated(10, "2")]))
    assert prices.known(same, later) is same
    assert prices.known(None, later) is None


def test_a_run_has_money_if_each_of_its_pools_has_a_price() -> None:
    assert prices.priced(resolved(pool(), pool(name="b")).placement)
    assert not prices.priced(resolved(pool(None), pool(name="b")).placement)
    assert not prices.priced(resolved(pool(), pool(None, name="b")).placement)


def test_a_run_keeps_all_else_that_it_was_resolved_with() -> None:
    one = resolved(pool(nodes=3))
    now = settings(pool(nodes=9, prices=[dated(10, "2")]), currency="USD")
    found = prices.known(one, now)
    assert found
    assert found.placement.pool.nodes == 3
    assert replace(found, placement=one.placement) == one


@pytest.mark.parametrize(
    "moment", ["tomorrow", "2027-02-30T00:00:00Z", "2027-01-01T00:00:00", "2027-01-01", ""]
)
def test_a_price_begins_at_a_moment(moment: str) -> None:
    with pytest.raises(ValidationError, match="is no moment; write one with its offset"):
        pool(prices=[{"from": moment, "pricePerGpuHour": "1"}])


@pytest.mark.parametrize(
    ("fields", "sentence"),
    [
        (
            {"pricePerGpuHour": None, "prices": [dated(1, "1")]},
            "write pricePerGpuHour for the time",
        ),
        ({"prices": [dated(1, "1"), dated(1, "2")]}, "must begin at different times"),
        ({"spotNodes": {"a": "b"}}, "write pricePerGpuHour and spotPricePerGpuHour"),
        ({"spotNodes": {"a b": "c"}, "spotPricePerGpuHour": "1"}, "keys of spotNodes"),
    ],
)
def test_prices_that_do_not_fit_are_refused_with_a_sentence(
    fields: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(ValidationError, match=sentence):
        pool(**fields)
