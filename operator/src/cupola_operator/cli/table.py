"""What `cupola run` shows, as values: a row a resource, lines for a log, the results at the end."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import NamedTuple

from rich.console import Group, RenderableType
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from cupola_api.common import Cost, Phase, Progress, Status
from cupola_api.dataset import DatasetStatus
from cupola_api.evaluation import EvaluationStatus, Score
from cupola_api.finetune import FineTuneStatus
from cupola_api.pretrainjob import PretrainJobStatus
from cupola_api.quantities import people
from cupola_api.training import ModelSummary
from cupola_operator.cluster import Object, key_of
from cupola_operator.report import words
from cupola_operator.resources import parse_status

PROGRESS_SECONDS = 10.0
"""Time between two lines about the progress of one resource in a log."""

STYLES = {
    Phase.SUCCEEDED: "green",
    Phase.FAILED: "red",
    Phase.STALLED: "red",
    Phase.RECOVERING: "yellow",
    Phase.SUSPENDED: "yellow",
    Phase.RUNNING: "cyan",
}
"""Colours of a terminal."""

_STILL = (Phase.SUCCEEDED, Phase.FAILED, Phase.STALLED, Phase.SUSPENDED)


class Row(NamedTuple):
    """A resource as it stands, in words."""

    name: str
    phase: Phase
    reason: str
    message: str
    fraction: float
    step: str
    loss: str
    speed: str
    eta: str
    cost: str


def rows(resources: Sequence[Object], now: datetime) -> list[Row]:
    """One row for each resource, in their order."""
    return [_row(value, now) for value in resources]


def _row(value: Object, now: datetime) -> Row:
    key = key_of(value)
    status = parse_status(key.kind, value.get("status"))
    progress = status.progress or Progress()
    ready = status.condition("Ready")
    fraction = 1.0 if status.phase is Phase.SUCCEEDED else progress.fraction
    runs = status.phase not in _STILL
    return Row(
        name=str(key),
        phase=status.phase,
        reason=ready.reason if ready else "",
        message=ready.message if ready else "",
        fraction=fraction,
        step=_steps(progress),
        loss="" if progress.loss is None else f"{progress.loss:.3f}",
        speed=f"{people(progress.tokens_per_second)}/s"
        if runs and progress.tokens_per_second
        else "",
        eta=_remaining(progress.eta, now) if runs else "",
        cost=_money(status.cost),
    )


def _steps(progress: Progress) -> str:
    if progress.step is None:
        worked = [words.worked(progress)] if progress.documents is not None else []
        return ": ".join([progress.stage or "", *worked])
    return f"{progress.step}/{progress.steps}" if progress.steps else str(progress.step)


def _money(cost: Cost | None) -> str:
    """What a run cost; nothing where there is no price."""
    return _amount(Decimal(cost.accrued), cost.currency) if cost and cost.accrued else ""


def _amount(money: Decimal, currency: str | None) -> str:
    """Money with four digits after the point: a laptop's runs cost fractions of a cent."""
    return f"{money:.4f} {currency}"


def _remaining(eta: str | None, now: datetime) -> str:
    """The time left until `eta`, as `2m05s`."""
    if not eta:
        return ""
    return words.elapsed((datetime.fromisoformat(eta) - now).total_seconds())


def waits_for(table: Sequence[Row]) -> str:
    """One line: what the run is waiting for."""
    busy = [row for row in table if row.phase not in (*_STILL, Phase.WAITING)]
    waiting = [row for row in table if row.phase is Phase.WAITING]
    for row in [*busy, *waiting]:
        return f"{row.name}: {row.message or row.reason or row.phase}"
    return ""


def live(table: Sequence[Row]) -> RenderableType:
    """The table for a terminal, the line of `waits_for` below it."""
    grid = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("Resource", "Phase", "Progress", "Step", "Loss", "Tokens", "Left", "Cost"):
        grid.add_column(column, no_wrap=True)
    for row in table:
        bar = ProgressBar(total=1.0, completed=row.fraction, width=20)
        grid.add_row(
            row.name,
            Text(row.phase, style=STYLES.get(row.phase, "")),
            bar if row.fraction else "",
            row.step,
            row.loss,
            row.speed,
            row.eta,
            row.cost,
        )
    return Group(grid, Text(waits_for(table), style="dim", overflow="ellipsis", no_wrap=True))


class Journal:
    """Turns looks at the table into lines of a log: each change, and some of the progress."""

    def __init__(self) -> None:
        self._said: dict[str, tuple[Phase, str]] = {}
        self._progress: dict[str, tuple[datetime, str]] = {}

    def lines(self, table: Sequence[Row], now: datetime) -> list[str]:
        """What is new at `now`.

        A line for each change of phase or reason; for progress one each PROGRESS_SECONDS at most.
        """
        stamp = now.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        new = []
        for row in table:
            if (row.phase, row.reason) != self._said.get(row.name):
                self._said[row.name] = (row.phase, row.reason)
                self._progress[row.name] = (now, progress_text(row))
                words = f"{row.phase} {row.reason}".strip()
                new.append(f"{stamp} {row.name} {words}: {row.message}".removesuffix(": "))
            elif text := self._news(row, now):
                new.append(f"{stamp} {row.name} {text}")
        return new

    def _news(self, row: Row, now: datetime) -> str:
        """Progress that was not said yet, if it is time to say it."""
        then, said = self._progress[row.name]
        text = progress_text(row)
        late = (now - then).total_seconds() >= PROGRESS_SECONDS
        if row.phase is not Phase.RUNNING or not late or text == said:
            return ""
        self._progress[row.name] = (now, text)
        return text


def progress_text(row: Row) -> str:
    """How far a resource is: share, step, loss, speed, time left, cost; what is known of these."""
    parts = [
        f"{row.fraction:.0%}",
        f"{'step' if row.step[0].isdigit() else 'stage'} {row.step}" if row.step else "",
        f"loss {row.loss}" if row.loss else "",
        f"{row.speed.removesuffix('/s')} tokens/s" if row.speed else "",
        f"{row.eta} left" if row.eta else "",
        row.cost,
    ]
    return ", ".join(part for part in parts if part)


def results(resources: Sequence[Object]) -> list[tuple[str, str, str, str]]:
    """(resource, phase, what came of it, cost) of each resource, for the end."""
    found = []
    for value in resources:
        key = key_of(value)
        status = parse_status(key.kind, value.get("status"))
        found.append((str(key), str(status.phase), _result(status), _money(status.cost)))
    return found


def _result(status: Status) -> str:
    """What came of a resource; of one that did not succeed, why."""
    text = made(status)
    if status.phase is Phase.SUCCEEDED:
        return text
    ready = status.condition("Ready")
    why = (ready.message or ready.reason) if ready else ""
    return f"{text}; {why}" if text and why else text or why


def made(status: Status) -> str:
    """What a resource made, in figures; empty if nothing."""
    match status:
        case DatasetStatus(summary=summary) if summary:
            text = f"{summary.documents_kept:,} documents, {people(summary.tokens)} tokens"
            if summary.examples:
                text += f", {summary.examples:,} examples"
            return text
        case PretrainJobStatus(model=model) | FineTuneStatus(model=model) if model:
            return _model(model)
        case EvaluationStatus(scores=scores):
            return "; ".join(_score(score) for score in scores)
    return ""


def _model(model: ModelSummary) -> str:
    parts = [f"{people(model.parameters)} parameters"]
    if model.validation_loss is not None:
        loss = f"validation loss {model.validation_loss:.3f}"
        if model.unigram_entropy is not None:
            loss += f" (by token frequencies alone {model.unigram_entropy:.3f})"
        parts.append(loss)
    return ", ".join(parts)


def _score(score: Score) -> str:
    text = f"{score.task} {score.metric} {score.value:.4g}"
    if score.compared_to is not None:
        text += f" (compared with {score.compared_to:.4g})"
    return text


def total(resources: Sequence[Object]) -> str:
    """What all of it cost; nothing if nothing did."""
    costs = [
        cost
        for value in resources
        if (cost := parse_status(value["kind"], value.get("status")).cost) and cost.accrued
    ]
    if not costs:
        return ""
    together = sum((Decimal(cost.accrued or 0) for cost in costs), Decimal(0))
    return _amount(together, costs[0].currency)


def final(resources: Sequence[Object]) -> RenderableType:
    """The table of results, and what they cost together."""
    grid = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("Resource", "Phase", "Result", "Cost"):
        grid.add_column(column, overflow="fold")
    for name, phase, result, cost in results(resources):
        grid.add_row(name, Text(phase, style=STYLES.get(Phase(phase), "")), Text(result), cost)
    if len(resources) > 1 and total(resources):
        grid.add_row("", "", Text("together", justify="right", style="dim"), total(resources))
    return grid
