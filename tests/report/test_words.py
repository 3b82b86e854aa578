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


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(-1, "0s"), (0.4, "0s"), (7, "7s"), (60, "1m00s"), (848, "14m08s"), (3599.6, "1h00m"),
     (11_052, "3h04m"), (86_400, "1d00h"), (183_000, "2d02h")],
)  # fmt: skip
def test_lengths_of_time_in_one_word(seconds: float, text: str) -> None:
    assert words.elapsed(seconds) == text


@pytest.mark.parametrize(
    ("reason", "text"),
    [("AttemptLost", "attempt lost"), ("OOMKilled", "OOM killed"), ("NoMessage", "no message"),
     ("Suspended", "suspended"), ("WaitingForFineTune", "waiting for fine tune"), ("", "")],
)  # fmt: skip
def test_reasons_as_words(reason: str, text: str) -> None:
    assert words.plainly(reason) == text


def test_money_that_is_there_is_not_told_as_nothing() -> None:
    assert words.money("0.000001", "USD") == "under 0.0001 USD"
    assert words.money("0", "USD") == "0.0000 USD"


@pytest.mark.parametrize(
    ("count", "text"),
    [(0, "0 B"), (12, "12 B"), (1234, "1.23 kB"), (5e6, "5 MB"), (4e9, "4 GB"), (3.4e12, "3.4 TB")],
)
def test_sizes(count: float, text: str) -> None:
    assert words.size(int(count)) == text
