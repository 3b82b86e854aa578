"""What people write behind options: counts, whole numbers, money; each mistake is one sentence."""

from __future__ import annotations

import re
from collections.abc import Sequence
from decimal import Decimal

from pydantic import TypeAdapter, ValidationError

from cupola_api import quantities


class Invalid(Exception):
    """What is asked for makes no sense; a sentence says what to write."""


def count(option: str, text: str) -> int:
    """A count above 0. Raises Invalid."""
    try:
        TypeAdapter(quantities.Count).validate_python(text)
    except ValidationError:
        raise Invalid(
            f"{option}: {text!r} is no count; write a number with an optional K, M, B or T, such as 7B"
        ) from None
    found = quantities.count(text)
    if found < 1:
        raise Invalid(f"{option}: must be 1 or more, not {text}")
    return found


def whole(option: str, text: str | None, most: int) -> int | None:
    """A whole number from 1 to `most`; None stays None. Raises Invalid."""
    if text is None:
        return None
    if not re.fullmatch(r"-?[0-9]+", text):
        raise Invalid(f"{option}: {text!r} is no whole number; write one from 1 to {most:,}")
    digits = text.lstrip("0") or "0"
    if len(digits) > len(str(most)) or not 1 <= int(digits) <= most:
        raise Invalid(f"{option}: must be 1 to {most:,}, not {text}")
    return int(digits)


def choice(option: str, text: str, values: Sequence[str]) -> str:
    """One of these words, in any case. Raises Invalid."""
    for value in values:
        if value.lower() == text.lower():
            return value
    raise Invalid(
        f"{option}: {text!r} is not known; write {', '.join(values[:-1])} or {values[-1]}"
    )


def amount(option: str, text: str) -> Decimal:
    """An amount of money above 0. Raises Invalid."""
    try:
        TypeAdapter(quantities.Money).validate_python(text)
    except ValidationError:
        raise Invalid(
            f"{option}: {text!r} is no amount; write decimal digits, such as 1.50"
        ) from None
    if not Decimal(text):
        raise Invalid(f"{option}: must be more than 0")
    return Decimal(text)


def money(text: str, currency: str) -> Decimal:
    """The money of --budget: digits, the currency of the prices behind them if a person likes.

    Raises Invalid.
    """
    found = re.fullmatch(r"\s*([0-9.,]+?)\s*([A-Za-z]{3})?\s*", text)
    if found is None:
        raise Invalid(f"--budget: {text!r} is no amount; write decimal digits, such as 150000")
    other = (found[2] or currency).upper()
    if other != currency:
        raise Invalid(
            f"--budget: prices are in {currency}, and the budget is in {other}; write it in {currency}"
        )
    digits = re.sub(r",(?=[0-9]{3}(,|\.|$))", "", found[1])
    return amount("--budget", digits)
