"""Numbers, times and digests as a person reads them."""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime
from decimal import Decimal

from cupola_api.common import Progress
from cupola_api.quantities import people
from cupola_operator.children import time_of

NONE = "\N{EN DASH}"
"""Where there is nothing to say."""

_SMALLEST = Decimal("0.0001")


def money(amount: Decimal | str | None, currency: str | None) -> str:
    """`0.0213 USD`; four digits after the point below 100, as runs may cost fractions of a cent.

    What has no price has no money: a dash.
    """
    if amount is None or currency is None:
        return NONE
    value = Decimal(amount)
    if 0 < value < _SMALLEST:
        return f"under {_SMALLEST} {currency}"
    return f"{value:,.2f} {currency}" if value >= 100 else f"{value:,.4f} {currency}"


def number(value: float | None, digits: int = 4) -> str:
    """A number with that many significant digits, large ones with separators."""
    if value is None or not math.isfinite(value):
        return NONE
    if value == 0:
        return "0"
    if abs(value) >= 10 ** (digits - 1):
        return f"{value:,.0f}"
    if abs(value) < 1e-3:
        return f"{value:.{max(0, digits - 2)}e}"
    return f"{value:.{digits}g}"


def share(part: float, whole: float) -> str:
    """A part of a whole in percent."""
    return f"{100 * part / whole:.1f} %" if whole else NONE


def plural(count: int, noun: str) -> str:
    """`1 attempt`, `2 attempts`."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def size(count: int) -> str:
    """Bytes in decimal units: `12 B`, `1.2 MB`, `3.4 TB`."""
    amount = people(count)
    unit = "GB" if amount.endswith("B") else f"{amount[-1:] if amount[-1:] in 'KMT' else ''}B"
    return f"{amount.rstrip('KMBT')} {unit.replace('K', 'k')}"


def worked(progress: Progress) -> str:
    """What a stage of a Dataset has worked on: `3.2M documents, 1.5 GB of 4 GB`."""
    found = f"{people(progress.documents or 0)} documents"
    if progress.documents_total is not None:
        found = f"{people(progress.documents or 0)} of {people(progress.documents_total)} documents"
    if progress.bytes is None:
        return found
    of = f" of {size(progress.bytes_total)}" if progress.bytes_total is not None else ""
    return f"{found}, {size(progress.bytes)}{of}"


def duration(seconds: float | None) -> str:
    """`48 s`, `5 min 12 s`, `3 h 05 min`, `2 d 3 h`."""
    if seconds is None:
        return NONE
    left = max(0, round(seconds))
    if left < 60:
        return f"{left} s"
    if left < 3600:
        return f"{left // 60} min {left % 60:02d} s"
    if left < 86_400:
        return f"{left // 3600} h {left % 3600 // 60:02d} min"
    return f"{left // 86_400} d {left % 86_400 // 3600} h"


def elapsed(seconds: float) -> str:
    """A length of time in one word: `7s`, `14m08s`, `3h04m`, `2d03h`."""
    left = max(0, round(seconds))
    if left < 60:
        return f"{left}s"
    if left < 3600:
        return f"{left // 60}m{left % 60:02d}s"
    if left < 86_400:
        return f"{left // 3600}h{left % 3600 // 60:02d}m"
    return f"{left // 86_400}d{left % 86_400 // 3600:02d}h"


def plainly(reason: str) -> str:
    """A CamelCase reason as words: `AttemptLost` is `attempt lost`, `OOMKilled` is `OOM killed`."""
    found = re.findall(r"[A-Z]+(?![a-z])|[A-Z][a-z0-9]+|[a-z0-9]+", reason)
    return " ".join(word if len(word) > 1 and word.isupper() else word.lower() for word in found)


def moment(text: str | None) -> str:
    """An RFC 3339 time as `2026-11-22 10:03:11`, in UTC."""
    time = time_of(text)
    return f"{time.astimezone(UTC):%Y-%m-%d %H:%M:%S}" if time else NONE


def between(start: str | None, end: str | None) -> float | None:
    """Seconds from one RFC 3339 time to another; None if one of them is not known."""
    first, last = time_of(start), time_of(end)
    return (last - first).total_seconds() if first and last else None


def earliest(times: list[str | None]) -> datetime | None:
    """The first of some RFC 3339 times."""
    return min((t for t in map(time_of, times) if t), default=None)


def short(digest: str | None) -> str:
    """The first twelve hex digits of a digest."""
    return digest.removeprefix("sha256:")[:12] if digest else NONE


def plain(value: object) -> str:
    """A JSON value in a line."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return number(value)
    if isinstance(value, list | tuple):
        return ", ".join(plain(item) for item in value)
    if isinstance(value, dict):
        return "; ".join(f"{key}: {plain(item)}" for key, item in value.items())
    return NONE if value is None else str(value)
