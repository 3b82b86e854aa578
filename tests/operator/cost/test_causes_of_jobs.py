"""What device time of a Job went into: pod by pod."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cupola_api.outcome import Outcome, OutcomeKind
from cupola_operator.children import text_of
from cupola_operator.cost import ledger

from .charging import TIMES, add_up, at, charge, placement, pod, split


def test_a_job_keeps_what_succeeded_pod_by_pod() -> None:
    pods = [pod("a", 0, 10, code=0), pod("b", 0, 30), pod("c", 20)]
    running = charge(None, pods, gang=None, now=at(50))
    assert split(running) == {"productive": "80", "lost_work": "60"}
    failed = charge("Failed", pods, gang=None, now=at(50))
    assert split(failed) == {"productive": "20", "lost_work": "120"}
    done = charge("Succeeded", pods[:2], gang=None, now=at(50))
    assert split(done) == {"productive": "20", "lost_work": "60"}


def begun(second: float | None) -> Outcome:
    """What a pod of a Job says that began with its work at a second."""
    first = None if second is None else at(second).timestamp()
    return Outcome(outcome=OutcomeKind.SUCCEEDED, first_work_at=first)


@pytest.mark.parametrize(
    ("said", "expected"),
    [
        (25, {"start_up": "30", "productive": "60"}),
        (25.999, {"start_up": "30", "productive": "60"}),  # status has whole seconds
        (None, {"productive": "90"}),
        (10, {"productive": "90"}),
        (-5000, {"productive": "90"}),
        (55, {"start_up": "90"}),
        (9e9, {"start_up": "90"}),
    ],
)
def test_a_pod_of_a_job_starts_up_until_it_began_with_its_work(
    said: float | None, expected: dict[str, str]
) -> None:
    pods = [pod("a", 10, 55, outcome=begun(said))]
    for outcome in (None, "Succeeded", "Failed"):
        assert split(charge(outcome, pods, gang=None)) == expected
    later = charge("Succeeded", pods, gang=None)  # and is gone
    again = ledger.charge(later, [], now=at(900), placement=placement(), gang=None)
    assert split(again) == expected


def test_of_a_job_that_came_to_nothing_the_start_up_is_lost_too() -> None:
    failed = begun(20).model_copy(update={"outcome": OutcomeKind.FAILED})
    for outcome in (None, "Succeeded", "Failed"):
        found = charge(outcome, [pod("a", 0, 50, outcome=failed)], gang=None)
        assert split(found) == {"lost_work": "100"}
    runs = [pod("a", 0, 30, outcome=begun(9)), pod("b", 10)]
    assert split(charge(None, runs, gang=None, now=at(40))) == {
        "start_up": "18", "productive": "102",
    }  # fmt: skip
    assert split(charge("Lost", runs, gang=None, now=at(40))) == {
        "start_up": "18", "productive": "42", "lost_work": "60",
    }  # fmt: skip


def test_a_price_that_changes_as_a_job_starts_up_meets_the_right_cause() -> None:
    prices = [{"from": "2026-01-01T00:00:40Z", "pricePerGpuHour": "0.72"}]
    pods = [pod("a", 0, 100, outcome=begun(60))]
    found = charge("Succeeded", pods, gang=None, placement=placement(prices=prices))
    assert split(found) == {"start_up": "120", "productive": "80"}
    assert split(found, money=True) == {"start_up": "0.016", "productive": "0.016"}
    assert found.wasted == "0"


@given(
    pods=st.lists(
        st.tuples(st.integers(0, 60), st.integers(0, 60), st.integers(1, 8), st.booleans(), TIMES),
        min_size=1,
        max_size=5,
    ),
    outcome=st.sampled_from([None, "Succeeded", "Failed", "Lost", "Stopped"]),
    change=st.integers(1, 100),
)
def test_the_causes_of_a_job_always_add_up(
    pods: list[Any], outcome: str | None, change: int
) -> None:
    alone = [pod(str(n), start, start + length, gpus=gpus, spot=spot, outcome=begun(said))
             for n, (start, length, gpus, spot, said) in enumerate(pods)]  # fmt: skip
    somewhere = placement(
        spotPricePerGpuHour="0.123457",
        spotNodes={"spot": "yes"},
        prices=[{"from": text_of(at(change)), "pricePerGpuHour": "1.000001"}],
    )
    found = charge(outcome, alone, gang=None, placement=somewhere)
    causes = add_up(found)
    starts = sum(
        gpus * min(max((said or 0) - start, 0), length) for start, length, gpus, _, said in pods
    )
    assert Decimal(causes.start_up) == starts
