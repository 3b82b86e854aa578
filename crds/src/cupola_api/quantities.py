"""Quantities as people write them: strings with units, and how to read them.

`140B` tokens, `30m`, `"150000"` of money. The pattern of each is part of the CRD's schema, so a
quantity that reached the reconciler can be read.
"""

from __future__ import annotations

import re
from decimal import Decimal
from typing import Annotated

from pydantic import Field

_COUNT = r"^[0-9]{1,15}(\.[0-9]{1,6})?[KMBT]?$"
_DURATION = r"^([0-9]{1,6}(d|h|m|s))+$"
_MONEY = r"^[0-9]{1,12}(\.[0-9]{1,6})?$"
_MEMORY = r"^[1-9][0-9]{0,8}(Ki|Mi|Gi|Ti)$"
_CORES = r"^[1-9][0-9]{0,5}m?$"
_FACTORS = {"": 1, "K": 10**3, "M": 10**6, "B": 10**9, "T": 10**12}
_BYTES = {"Ki": 2**10, "Mi": 2**20, "Gi": 2**30, "Ti": 2**40}
_SECONDS = {"d": 86_400, "h": 3_600, "m": 60, "s": 1}

Count = Annotated[
    str,
    Field(pattern=_COUNT, max_length=24, examples=["2M", "140B", "500000"]),
]
"""A number of things (tokens, parameters) with a decimal suffix: K, M, B or T."""

Duration = Annotated[str, Field(pattern=_DURATION, max_length=24, examples=["30m", "1h30m"])]
"""A length of time in d, h, m and s."""

Money = Annotated[str, Field(pattern=_MONEY, max_length=24, examples=["150000", "0.35"])]
"""An amount in the installation's currency; a decimal, never a float."""

Memory = Annotated[str, Field(pattern=_MEMORY, max_length=11, examples=["2Gi", "1536Mi"])]
"""An amount of memory with a binary suffix: Ki, Mi, Gi or Ti; Kubernetes reads it the same."""

Cores = Annotated[str, Field(pattern=_CORES, max_length=7, examples=["2", "500m"])]
"""CPU: whole cores, or thousandths of one with the suffix m; Kubernetes reads it the same."""

UNITS = {
    _COUNT: 'a count as a string with an optional suffix K, M, B or T, such as "2M"',
    _DURATION: 'a duration as a string with units d, h, m or s, such as "30m"',
    _MONEY: 'an amount as a string of decimal digits, in the currency of the installation, such as "150.00"',
    _MEMORY: 'an amount of memory as a whole number with Ki, Mi, Gi or Ti, such as "2Gi"',
    _CORES: 'an amount of CPU as a string of whole cores, or of thousandths with m, such as "500m"',
}
"""What each pattern asks for, in words; error messages use it."""


def count(text: str) -> int:
    """The integer that a Count names: `count("1.5K") == 1500`. Fractions of one are dropped."""
    suffix = text[-1] if text[-1] in "KMBT" else ""
    return int(Decimal(text.removesuffix(suffix)) * _FACTORS[suffix])


def seconds(text: str) -> int:
    """The seconds of a Duration: `seconds("1h30m") == 5400`."""
    return sum(int(n) * _SECONDS[unit] for n, unit in re.findall(r"([0-9]+)(d|h|m|s)", text))


def memory(text: str) -> int:
    """The bytes of a Memory, or of many `times` one. Raises ValueError if the text is none."""
    if not re.fullmatch(r"[1-9][0-9]*(Ki|Mi|Gi|Ti)", text):
        raise ValueError(f"{text!r} is not {UNITS[_MEMORY]}")
    return int(text[:-2]) * _BYTES[text[-2:]]


def times(number: int, text: str) -> str:
    """So many times a Memory, in its own unit: `times(2, "1536Mi") == "3072Mi"`."""
    return f"{number * int(text[:-2])}{text[-2:]}"


def people(number: float) -> str:
    """A count for a person, three digits at most: `people(2_340_000) == "2.34M"`."""
    rounded = float(f"{number:.3g}")
    fitting = [(factor, suffix) for suffix, factor in _FACTORS.items() if factor <= rounded]
    factor, suffix = max(fitting, default=(1, ""))
    return f"{rounded / factor:.15g}{suffix}"
