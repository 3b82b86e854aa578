"""What was spent as a table: lines are added up by what a person asks for. Pure."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from decimal import Decimal
from enum import StrEnum
from typing import NamedTuple

from cupola_operator.cost.charges import Charge, Line, lines
from cupola_operator.cost.focus import WORDS

_HOUR = 3600


class By(StrEnum):
    """What lines of the table are added up by."""

    RESOURCE = "resource"
    KIND = "kind"
    NAMESPACE = "namespace"
    CAUSE = "cause"
    MONTH = "month"


class _Sum(NamedTuple):
    cost: Decimal | None = None
    gpu_seconds: Decimal = Decimal(0)
    lost: Decimal = Decimal(0)
    live: bool = False
    estimated: bool = False

    def plus(self, line: Line) -> _Sum:
        """The sum with another line."""
        money = line.cost or Decimal(0)
        entry = line.charge.entry
        return _Sum(
            None if line.cost is None and self.cost is None else (self.cost or Decimal(0)) + money,
            self.gpu_seconds + line.gpu_seconds,
            self.lost + (money if line.cause in ("lost_work", "idle") else 0),
            self.live or entry.closed is None,
            self.estimated or entry.estimated,
        )


_LABELS: dict[By, Callable[[Line], str]] = {
    By.RESOURCE: lambda line: _resource(line.charge),
    By.KIND: lambda line: line.charge.entry.kind,
    By.NAMESPACE: lambda line: line.charge.namespace,
    By.CAUSE: lambda line: WORDS[line.cause],
    By.MONTH: lambda line: line.charge.month,
}


def table(found: Iterable[Charge], by: Sequence[By]) -> str:
    """Lines by `by` and by currency, and a total of each currency; nothing is rounded before it is added."""
    by = list(dict.fromkeys(by))
    sums: dict[tuple[str, ...], _Sum] = {}
    totals: dict[str, _Sum] = {}
    for charge in found:
        for line in lines(charge):
            currency = charge.entry.currency or ""
            key = (*(_LABELS[one](line) for one in by), currency)
            sums[key] = sums.get(key, _Sum()).plus(line)
            totals[currency] = totals.get(currency, _Sum()).plus(line)
    rows = [[*(one.upper() for one in by), "COST", "WASTED", "CURRENCY", "GPU-HOURS", "STATE"]]
    rows += [[*key[:-1], *_cells(one, key[-1])] for key, one in sorted(sums.items())]
    blank = [""] * (len(by) - 1)
    for currency, total in sorted(totals.items()):
        rows.append(["total", *blank, *_cells(total, currency)])
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return "\n".join(
        "   ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
        for row in rows
    )


def _cells(one: _Sum, currency: str) -> list[str]:
    money = ["no price", ""] if one.cost is None else [f"{one.cost:.2f}", f"{one.lost:.2f}"]
    state = "live" if one.live else "closed"
    guess = ", estimated" if one.estimated else ""
    return [*money, currency, f"{one.gpu_seconds / _HOUR:.2f}", state + guess]


def _resource(charge: Charge) -> str:
    entry = charge.entry
    return f"{entry.kind}/{entry.name}" if entry.name else f"{entry.kind} ({entry.runs} runs)"
