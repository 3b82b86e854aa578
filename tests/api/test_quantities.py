from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

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


@pytest.mark.parametrize(
    ("text", "value"),
    [("1Ki", 1024), ("1536Mi", 1536 * 2**20), ("2Gi", 2**31), ("999999999Ti", 999_999_999 * 2**40)],
)
def test_memory_is_read_with_its_binary_suffix(text: str, value: int) -> None:
    assert quantities.memory(text) == value


@pytest.mark.parametrize(
    "text", ["", "2", "0Gi", "-1Gi", "1.5Gi", "2G", "2 Gi", "2Gi\n", "²Gi", "Gi"]
)
def test_what_is_not_memory_is_refused_and_told_how_to_write_it(text: str) -> None:
    with pytest.raises(ValueError, match='such as "2Gi"'):
        quantities.memory(text)
    with pytest.raises(ValidationError):
        TypeAdapter(quantities.Memory).validate_python(text)


@given(
    st.integers(1, 10_000), st.integers(1, 999_999_999), st.sampled_from(["Ki", "Mi", "Gi", "Ti"])
)
def test_so_many_times_an_amount_of_memory_keeps_its_unit(
    number: int, each: int, unit: str
) -> None:
    text = quantities.times(number, f"{each}{unit}")
    assert text == f"{number * each}{unit}"
    assert quantities.memory(text) == number * quantities.memory(f"{each}{unit}")


@given(
    st.from_regex(
        r"[0-9]{1,15}(\.[0-9]{1,6})?[KMBT]?", fullmatch=True, alphabet=st.characters(codec="ascii")
    )
)
def test_every_text_that_the_schema_accepts_can_be_read(text: str) -> None:
    assert quantities.count(text) >= 0


@pytest.mark.parametrize(
    ("number", "text"),
    [
        (0, "0"),
        (0.5, "0.5"),
        (999, "999"),
        (999.7, "1K"),
        (1000, "1K"),
        (999_999, "1M"),
        (2_340_000, "2.34M"),
        (7e9, "7B"),
        (1.5e16, "15000T"),
    ],
)
def test_people_read_three_digits(number: float, text: str) -> None:
    assert quantities.people(number) == text
