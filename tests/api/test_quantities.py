from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from cupola_api import quantities


@pytest.mark.parametrize(
    ("text", "value"),
    [("0", 0), ("500000", 500_000), ("2M", 2_000_000), ("1.5K", 1500), ("140B", 140 * 10**9)],
)
def test_a_count_is_read_with_its_suffix(text: str, value: int) -> None:
    assert quantities.count(text) == value


@pytest.mark.parametrize(("text", "value"), [("30m", 1800), ("1h30m", 5400), ("2d", 172_800)])
def test_a_duration_is_the_sum_of_its_parts(text: str, value: int) -> None:
    assert quantities.seconds(text) == value


@given(
    st.from_regex(
        r"[0-9]{1,15}(\.[0-9]{1,6})?[KMBT]?", fullmatch=True, alphabet=st.characters(codec="ascii")
    )
)
def test_every_text_that_the_schema_accepts_can_be_read(text: str) -> None:
    assert quantities.count(text) >= 0


@pytest.mark.parametrize(
    ("number", "text"), [(999, "999"), (2_340_000, "2.34M"), (7e9, "7B"), (0, "0")]
)
def test_people_read_three_digits(number: float, text: str) -> None:
    assert quantities.people(number) == text
