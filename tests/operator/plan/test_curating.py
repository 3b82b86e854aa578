from __future__ import annotations

from typing import Any

from cupola_operator.plan.answers import curating
from cupola_operator.plan.answers.plan import Plan
from cupola_operator.plan.estimate import Estimate

from . import planning


def plan(*found: Any) -> Plan:
    return curating.plan(planning.dataset(), planning.settings(), planning.known(*found))


def test_a_dataset_has_a_price_of_a_gigabyte_and_no_total() -> None:
    found = plan(planning.dataset())
    assert found.bill is None
    assert "how much text its sources hold is known when they are listed" in found.notes[0]
    assert "a GB of text takes" in found.notes[0]
    assert "USD" in found.notes[0]
    assert "1.2 (0.6 to 2.4) MB" in found.assumptions[0]


def test_one_that_was_read_before_is_taken_to_hold_as_much() -> None:
    small = plan(planning.finished(planning.dataset(), 10**9))
    large = plan(planning.finished(planning.dataset(), 10**10))
    assert small.bill is not None
    assert large.bill is not None
    assert large.bill.device_hours.expected > 5 * small.bill.device_hours.expected
    assert large.bill.on_demand is not None
    assert "read last" in large.notes[0]


def test_more_threads_and_slots_take_less_time() -> None:
    there, text = plan(planning.dataset()).machine, Estimate.exactly(1e12)
    one, two = (curating.of_bytes(text, there, 1, threads) for threads in (1, 2))
    assert 1.99 < one.device_hours.expected / two.device_hours.expected < 2.01
    many = curating.of_bytes(text, there, 4, 1)
    assert 3.99 < one.wall_clock_hours.expected / many.wall_clock_hours.expected < 4.01


def test_what_is_listed_counts_more_than_what_was_read_before() -> None:
    known = planning.known(planning.finished(planning.dataset(), 10**12))
    place = planning.settings().pools[0]
    found = curating.on_pool(planning.dataset(), place, "USD", known, listed=2 * 10**9)
    assert found.bill
    assert "its 2 GB of files are taken to hold 1 (0.5 to 4) times as much text" in found.notes[0]
    each = curating.of_bytes(Estimate.exactly(1e9), found.machine, found.devices, 1)
    seconds = (found.bill.wall_clock_hours.expected, each.wall_clock_hours.expected)
    start = 20 / 3600
    assert 1.99 < (seconds[0] - start) / (seconds[1] - start) < 2.01
