from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cupola_operator.cost.months import bounds, by_weight, month_of, shares

START = datetime(2026, 1, 1, tzinfo=UTC)


def test_a_month_begins_and_ends_by_utc() -> None:
    assert month_of(datetime.fromisoformat("2026-02-01T00:30:00+01:00")) == "2026-01"
    assert bounds("2026-12") == (
        datetime(2026, 12, 1, tzinfo=UTC),
        datetime(2027, 1, 1, tzinfo=UTC),
    )


def test_an_amount_is_shared_in_proportion_to_time() -> None:
    begin, end = datetime(2026, 1, 31, tzinfo=UTC), datetime(2026, 2, 4, tzinfo=UTC)
    assert shares(Decimal(4), begin, end) == {"2026-01": Decimal(1), "2026-02": Decimal(3)}


def test_what_takes_no_time_belongs_to_its_month() -> None:
    assert shares(Decimal(4), START, START) == {"2026-01": Decimal(4)}
    assert shares(Decimal(4), START, START - timedelta(days=40)) == {"2026-01": Decimal(4)}


def test_a_span_that_ends_with_a_month_has_no_part_in_the_next() -> None:
    assert set(shares(Decimal(1), START, datetime(2026, 2, 1, tzinfo=UTC))) == {"2026-01"}


@given(
    amount=st.integers(0, 10**15).map(lambda n: Decimal(n) / 1_000_000),
    start=st.integers(0, 10**8),
    length=st.integers(0, 10**8),
)
def test_shares_add_up_to_the_amount_to_the_last_digit(
    amount: Decimal, start: int, length: int
) -> None:
    begin = START + timedelta(seconds=start)
    found = shares(amount, begin, begin + timedelta(seconds=length))
    assert sum(found.values()) == amount
    assert min(found.values()) >= 0


def test_an_amount_without_weights_belongs_to_the_first_month() -> None:
    assert by_weight(Decimal(2), {"2026-02": 0, "2026-01": 0}) == {"2026-01": Decimal(2)}
    with pytest.raises(ValueError, match="month"):
        by_weight(Decimal(2), {})
