from __future__ import annotations

from decimal import Decimal

import pytest

from cupola_operator.report import words


@pytest.mark.parametrize(
    ("amount", "text"),
    [
        ("0.009194", "0.0092 USD"),
        ("0", "0.0000 USD"),
        ("99.5", "99.5000 USD"),
        ("123456.789", "123,456.79 USD"),
    ],
)
def test_money(amount: str, text: str) -> None:
    assert words.money(Decimal(amount), "USD") == text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, words.NONE), (float("nan"), words.NONE), (0.0, "0"), (8.1342, "8.134"), (0.59375, "0.5938"), (12345.6, "12,346"),
        (-0.5, "-0.5"), (3e-4, "3.00e-04"), (999.96, "1000"), (4096, "4,096"),
    ],
)  # fmt: skip
def test_numbers(value: float | None, text: str) -> None:
    assert words.number(value) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (None, words.NONE), (-3, "0 s"), (48.4, "48 s"), (59.6, "1 min 00 s"), (312, "5 min 12 s"), (11_100, "3 h 05 min"),
        (183_600, "2 d 3 h"),
    ],
)  # fmt: skip
def test_durations(seconds: float | None, text: str) -> None:
    assert words.duration(seconds) == text


def test_times() -> None:
    assert words.moment("2026-11-22T12:00:00+02:00") == "2026-11-22 10:00:00"
    assert words.moment("soon") == words.NONE
    assert words.between("2026-11-22T10:00:00Z", "2026-11-22T10:01:30Z") == 90
    assert words.between(None, "2026-11-22T10:01:30Z") is None


def test_shares_and_plurals() -> None:
    assert words.share(1, 3) == "33.3 %"
    assert words.share(1, 0) == words.NONE
    assert words.plural(1, "attempt") == "1 attempt"
    assert words.plural(1200, "step") == "1,200 steps"


def test_plain_values() -> None:
    value = {"a": [1, 2.5, True, None], "b": "x"}
    assert words.plain(value) == f"a: 1, 2.5, yes, {words.NONE}; b: x"
